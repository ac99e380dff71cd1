// SPDX-License-Identifier: MIT

#include "observers/secrets.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using namespace kino::server;

namespace {

std::string shown(std::string_view url) {
  std::string all;
  for_each_public_url_part(url, [&all](std::string_view part) { all += part; });
  return all;
}

std::string percent_encoded(std::string_view text, std::mt19937& random) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string made;
  for (char const c : text) {
    if (random() % 2 != 0) {
      made += c;
    } else {
      made += {'%', digits[c >> 4 & 15], digits[c & 15]};
    }
  }
  return made;
}

}  // namespace

TEST_CASE("parameters with the names of credentials are secret, words that contain such a name are not") {
  for (std::string_view const name : {"password", "user[password]", "PassWord_confirmation", "access_token", "token", "csrf-token", "api_key",
                                      "api-key", "apikey", "X-Amz-Signature", "client_secret", "code", "sid", "key", "session_id",
                                      "%70assword", "%74oken", "pass%77ord"}) {
    CAPTURE(name);
    CHECK(is_secret_parameter(name));
  }
  for (std::string_view const name : {"", "q", "page", "author", "country_code", "postcode", "keyword", "monkey", "option", "design", "inside", "%"}) {
    CAPTURE(name);
    CHECK(!is_secret_parameter(name));
  }
  CHECK(is_secret_parameter(std::string(200, 'a')));  // too long to tell
}

TEST_CASE("header fields that carry credentials are secret") {
  for (std::string_view const name : {"authorization", "proxy_authorization", "cookie", "set_cookie", "cookie2", "x_api_key", "x-csrf-token",
                                      "x_amz_security_token", "sec_websocket_key", "www_authenticate", "x_auth_user"}) {
    CAPTURE(name);
    CHECK(is_secret_header(name));
  }
  for (std::string_view const name : {"user_agent", "x_forwarded_for", "accept", "referer", "x_request_id", "forwarded"}) {
    CAPTURE(name);
    CHECK(!is_secret_header(name));
  }
}

TEST_CASE("the values of secret parameters are filtered wherever they are in a URL") {
  CHECK(shown("") == "");
  CHECK(shown("/") == "/");
  CHECK(shown("/?") == "/?");
  CHECK(shown("/p?a=1&b=2") == "/p?a=1&b=2");
  CHECK(shown("/?token=s") == "/?token=[FILTERED]");
  CHECK(shown("/?token=") == "/?token=[FILTERED]");
  CHECK(shown("/?a=1&token=s&b=2") == "/?a=1&token=[FILTERED]&b=2");
  CHECK(shown("/?token=s&token=t&&token") == "/?token=[FILTERED]&token=[FILTERED]&&token");
  CHECK(shown("/?token=s;t?u=v#w&b=2") == "/?token=[FILTERED]&b=2");
  CHECK(shown("/?a=1;token=s") == "/?a=1;token=[FILTERED]");
  CHECK(shown("/?next=/in?token=s&b") == "/?next=/in?token=[FILTERED]&b");
  CHECK(shown("/?%74oken=s") == "/?%74oken=[FILTERED]");
  CHECK(shown("/?token==s=t") == "/?token=[FILTERED]");
  CHECK(shown("http://x/#access_token=s&a=b") == "http://x/#access_token=[FILTERED]&a=b");
  CHECK(shown("https://user:pass@host/p?a=1") == "https://[FILTERED]@host/p?a=1");
  CHECK(shown("https://user:p@ss@host") == "https://[FILTERED]@host");
  CHECK(shown("https://host/@p") == "https://host/@p");
  CHECK(shown("/a=1/token=s") == "/a=1/token=s");  // no parameter
}

TEST_CASE("no secret is shown among random parameters, and nothing else is hidden") {
  std::mt19937 random(4711);
  auto const any = [&random](auto const& list) { return std::string(list[random() % std::size(list)]); };
  static constexpr std::string_view names[] = {"a", "page", "q[]", "", "x%41"};
  static constexpr std::string_view secrets[] = {"token", "user[password]", "code", "API-KEY", "sid"};
  static constexpr std::string_view values[] = {"", "1", "%26", "a;b", "x?y", "z#", "=", "a=b"};
  for (int round = 0; round < 20'000; ++round) {
    std::string url = "/path";
    std::string expected = url;
    for (int i = 0, count = static_cast<int>(random() % 5); i < count; ++i) {
      std::string const separator = i == 0 ? "?" : "&";
      if (random() % 2 != 0) {
        std::string const name = percent_encoded(any(secrets), random);
        url += separator + name + "=" + any(values) + "SECRET" + any(values);
        expected += separator + name + "=[FILTERED]";
      } else {
        std::string const parameter = separator + any(names) + "=" + any(values);
        url += parameter;
        expected += parameter;
      }
    }
    CAPTURE(url);
    REQUIRE(shown(url) == expected);
  }
}
