// SPDX-License-Identifier: MIT
//
// Session tickets: encrypted with a key that changes, so that a key that leaks opens few old connections.

#include "tls/engine/openssl.hpp"

#include <openssl/aes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>

#include <algorithm>

namespace kino::server::tls {

bool ticket_keys::rotate() noexcept {
  key fresh{};
  if (RAND_bytes(fresh.name.data(), fresh.name.size()) != 1 || RAND_bytes(fresh.aes.data(), fresh.aes.size()) != 1 ||
      RAND_bytes(fresh.hmac.data(), fresh.hmac.size()) != 1) {
    return false;
  }
  {
    std::lock_guard guard(mutex_);
    OPENSSL_cleanse(&keys_.back(), sizeof(key));
    std::shift_right(keys_.begin(), keys_.end(), 1);
    keys_.front() = fresh;
    count_ = std::min(count_ + 1, keys_.size());
  }
  OPENSSL_cleanse(&fresh, sizeof fresh);
  return true;
}

int ticket_keys::callback(SSL* ssl, std::uint8_t* name, std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                          int encrypting) noexcept {
  ticket_keys& keys = session::of(ssl).home.tickets;
  return encrypting == 1 ? keys.encrypt(name, iv, cipher, hmac) : keys.decrypt(name, iv, cipher, hmac);
}

int ticket_keys::encrypt(std::uint8_t* name, std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac) noexcept {
  std::lock_guard guard(mutex_);
  key const& current = keys_.front();
  std::copy(current.name.begin(), current.name.end(), name);
  bool const made = RAND_bytes(iv, AES_BLOCK_SIZE) == 1 &&
                    EVP_EncryptInit_ex(cipher, EVP_aes_128_cbc(), nullptr, current.aes.data(), iv) == 1 &&
                    HMAC_Init_ex(hmac, current.hmac.data(), current.hmac.size(), EVP_sha256(), nullptr) == 1;
  return made ? 1 : -1;
}

int ticket_keys::decrypt(std::uint8_t const* name, std::uint8_t const* iv, EVP_CIPHER_CTX* cipher,
                         HMAC_CTX* hmac) noexcept {
  std::lock_guard guard(mutex_);
  auto const end = keys_.begin() + static_cast<std::ptrdiff_t>(count_);
  auto const found =
      std::find_if(keys_.begin(), end, [name](key const& one) { return std::equal(one.name.begin(), one.name.end(), name); });
  if (found == end) return 0;
  bool const made = HMAC_Init_ex(hmac, found->hmac.data(), found->hmac.size(), EVP_sha256(), nullptr) == 1 &&
                    EVP_DecryptInit_ex(cipher, EVP_aes_128_cbc(), nullptr, found->aes.data(), iv) == 1;
  if (!made) return -1;
  return found == keys_.begin() ? 1 : 2;  // 2: the client gets a ticket of the current key
}

}  // namespace kino::server::tls
