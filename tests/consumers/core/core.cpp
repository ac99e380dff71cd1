// SPDX-License-Identifier: MIT
//
// A program without Ruby whose threads communicate through a channel.

#include <kino/channel.hpp>
#include <kino/version.hpp>

#include <iostream>
#include <thread>

int main() {
  kino::channel<int> numbers(4);
  std::thread producer([&] {
    for (int number = 1; number <= 8; ++number) {
      if (numbers.push(int{number}) != kino::push_result::pushed) return;
    }
    numbers.close();
  });
  int sum = 0;
  for (int number = 0; numbers.pop(number) == kino::pop_result::popped;) sum += number;
  producer.join();
  std::cout << "kino " << KINO_VERSION << ": " << sum << '\n';
}
