// SPDX-License-Identifier: MIT

#include "observers/line_buffer.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>

using kino::server::line_buffer;

TEST_CASE("a line buffer has the bytes of pieces of any size, in order") {
  std::mt19937 random(4711);
  auto const number = [&random](std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random); };
  for (int round = 0; round < 300; ++round) {
    line_buffer buffer;
    std::string expected;
    for (std::size_t pieces = number(200); pieces != 0; --pieces) {
      // Not a byte beyond the piece may be read: sanitizers watch the end of an allocation.
      std::size_t const size = number(number(9) == 0 ? 3000 : 20);
      auto const piece = std::make_unique<char[]>(size);
      for (std::size_t i = 0; i != size; ++i) piece[i] = static_cast<char>(number(255));
      switch (number(2)) {
        case 0:
          buffer += 'x';
          expected += 'x';
          break;
        case 1:
          if (size != 0) std::memcpy(buffer.room(size), piece.get(), size);
          buffer.advance(size);
          expected.append(piece.get(), size);
          break;
        default:
          buffer.append({piece.get(), size});
          expected.append(piece.get(), size);
      }
    }
    REQUIRE(buffer.text() == expected);
  }
}
