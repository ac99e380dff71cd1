// SPDX-License-Identifier: MIT
//
// What the control plane asks Ruby.

#include "app/native.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>
#include <kino/wait.hpp>

#include <optional>
#include <string>
#include <utility>

namespace kino::server::native {

namespace {

// Waits for the next question: [number, subject, detail]; nil once there will be no more.
VALUE next_inquiry(gvl const& held, VALUE, VALUE id) {
  servers::pin const from = running().find(id_of(held, id));
  if (!from) return Qnil;
  inquiry next;
  if (kino::pop(held, from->control_questions().questions(), next) != kino::pop_result::popped) return Qnil;
  VALUE const number = kino::to_ruby(held, next.number);
  VALUE const subject = kino::to_ruby(held, next.subject);
  VALUE const detail = kino::to_ruby(held, next.detail);
  return kino::protect(held, [&] { return rb_ary_new_from_args(3, number, subject, detail); });
}

// The answer; nil: there is none.
VALUE answer_inquiry(gvl const& held, VALUE, VALUE id, VALUE number, VALUE text) {
  auto const asked = kino::from_ruby<std::uint64_t>(held, number);
  std::optional<std::string> answer;
  if (!NIL_P(text)) answer = kino::from_ruby<std::string>(held, text);
  if (servers::pin const to = running().find(id_of(held, id))) to->control_questions().answer(asked, std::move(answer));
  return Qnil;
}

}  // namespace

void define_control(VALUE native) {
  kino::define_function<next_inquiry>(native, "next_inquiry");
  kino::define_function<answer_inquiry>(native, "answer_inquiry");
}

}  // namespace kino::server::native
