// SPDX-License-Identifier: MIT

#include "http/field_section.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using kino::server::field_section;
using kino::server::known_field;

namespace {

std::string joined(field_section const& fields, field_section::field const& first) {
  std::string all(fields.joined_size(first) + 1, '#');
  fields.copy_joined(first, all.data());
  CHECK(all.back() == '#');
  all.pop_back();
  return all;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return text;
}

}  // namespace

TEST_CASE("a field may arrive in pieces of any size") {
  field_section fields;
  fields.append_text("GET / HTTP/1.1");
  for (char const c : std::string_view("Some-Name")) fields.append_name({&c, 1});
  fields.append_name("");
  fields.end_name();
  for (char const c : std::string_view("some value \t")) fields.append_value({&c, 1});
  fields.end_value();
  fields.add("Empty", "");
  fields.end_name();  // a field without a name ...
  fields.append_value("x");
  fields.end_value();
  REQUIRE(fields.all().size() == 3);
  CHECK(fields.name(fields.all()[0]) == "Some-Name");
  CHECK(fields.value(fields.all()[0]) == "some value");
  CHECK(fields.name(fields.all()[1]) == "Empty");
  CHECK(fields.value(fields.all()[1]) == "");
  CHECK(fields.name(fields.all()[2]) == "");
  CHECK(fields.text() == "GET / HTTP/1.1Some-Namesome valueEmptyx");
  CHECK(fields.finish().status == 400);  // ... is not valid
  fields.clear(1024);
  CHECK(fields.all().empty());
  CHECK(fields.text().empty());
  CHECK_FALSE(fields.finish());
}

TEST_CASE("known names are known in every spelling") {
  field_section fields;
  for (char const* name : {"HOST", "cookie", "Expect", "connection", "Content-Type", "content-Length",
                           "Transfer-Encoding", "Transfer_Encoding", "hosts", "cookies", "Content.Type"}) {
    fields.add(name, "1");
  }
  known_field const expected[] = {known_field::host, known_field::cookie, known_field::expect, known_field::connection,
                                  known_field::content_type, known_field::content_length,
                                  known_field::transfer_encoding, known_field::transfer_encoding, known_field::other,
                                  known_field::other, known_field::other};
  for (std::size_t i = 0; i < std::size(expected); ++i) CHECK(fields.all()[i].known == expected[i]);
  CHECK(fields.find(known_field::expect) == &fields.all()[2]);
}

TEST_CASE("random fields are grouped and joined as a table of them would be") {
  std::mt19937 random(7);
  static constexpr std::string_view names[] = {"a", "A", "b", "bb", "Bb", "Cookie", "cookie", "long-name", "Long-Name"};
  field_section fields;
  for (int round = 0; round < 3000; ++round) {
    fields.clear(random() % 2 ? 0 : 4096);
    if (random() % 2) fields.append_text("some text");
    std::map<std::string, std::pair<std::string, int>> expected;
    std::vector<std::pair<std::string, std::string>> sent;
    for (std::size_t left = random() % 30; left != 0; --left) {
      std::string const name(names[random() % std::size(names)]);
      std::string const value(random() % 12, static_cast<char>('a' + random() % 26));
      fields.add(name, value);
      sent.emplace_back(name, value);
      auto& [all, count] = expected[upper(name)];
      if (count++ != 0) all += upper(name) == "COOKIE" ? "; " : ", ";
      all += value;
    }
    REQUIRE(!fields.finish());
    REQUIRE(fields.all().size() == sent.size());
    REQUIRE(fields.name_count() == expected.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      field_section::field const& f = fields.all()[i];
      REQUIRE(fields.name(f) == sent[i].first);
      REQUIRE(fields.value(f) == sent[i].second);
      if (f.repeated) continue;
      auto const found = expected.find(upper(sent[i].first));
      REQUIRE(found != expected.end());
      REQUIRE(joined(fields, f) == found->second.first);
      expected.erase(found);
    }
    REQUIRE(expected.empty());
  }
}

TEST_CASE("names and values with other characters are not valid") {
  for (auto const& [name, value] : {std::pair{"a b", "c"}, {"a:", "c"}, {"", "c"}, {"\xc3\xa4", "c"}, {"a", "\x01"},
                                    {"a", "b\r\nc: d"}, {"a", "\x7f"}}) {
    field_section fields;
    fields.add("x", "y");
    fields.add(name, value);
    CHECK(fields.finish().status == 400);
  }
}
