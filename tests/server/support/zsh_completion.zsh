# zsh -f zsh_completion.zsh SCRIPT LINE...: prints each line as an interactive zsh that has loaded the script completes it.

zmodload zsh/zpty
script=$1
shift

await() { zpty -r shell seen "*$1*" || exit 1 }

zpty shell "zsh -f -i"
zpty -w shell "autoload -U compinit && compinit -D -u; source $script"
# ^X prints the line; the quotes keep the markers out of the echo of this one.
zpty -w shell 'show() { print -r -- "<""<<$BUFFER>"">>"; BUFFER="" }; zle -N show; bindkey "^X" show'
zpty -w shell 'bindkey "^I" complete-word; echo LOAD"ED"'
await LOADED
for line; do
  zpty -w -n shell "$line"$'\t\x18'
  await '>>>'
  seen=${seen##*<<<}
  print -r -- "${seen%%>>>*}"
done
zpty -d shell
