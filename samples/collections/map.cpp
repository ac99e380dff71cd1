// SPDX-License-Identifier: MIT

#include "map.hpp"

#include "map_key.hpp"
#include "map_table.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace {

using link = std::atomic<map_entry*>;

// The value of an entry; no object if there is no entry.
using found_value = std::optional<VALUE>;

// All methods hold the mutex of a stripe for a few instructions only, and call no Ruby code meanwhile. What they replace or
// remove is destroyed after that, because its places go back to objects_, which has a mutex, too. A VALUE that was read
// under the mutex is on the stack, so it stays alive.
class map {
public:
  static constexpr char const* ruby_name = "Kino::Map";
  static constexpr bool ruby_shareable = true;
  static constexpr bool ruby_write_barriers = true;

  explicit map(bool copies) : copies_(copies) {}

  /// `object` as the key of a call that may store it: what Ruby code does to `object` meanwhile does not change the key. As
  /// in a Hash, a String that may change is copied.
  map_key key_to_store(kino::gvl const& held, VALUE object) {
    if (RB_TYPE_P(object, T_STRING) && !RB_OBJ_FROZEN(object) && rb_obj_class(object) == rb_cString) {
      object = kino::protect(held, [object] {
        return rb_ractor_make_shareable(rb_enc_str_new(RSTRING_PTR(object), RSTRING_LEN(object), rb_enc_get(object)));
      });
    }
    return map_key(held, stored_form(held, object, "key"));
  }

  found_value get(kino::gvl const& held, map_key const& key) {
    map_stripe& stripe = stripe_of(key);
    auto lock = stripe.unlocked();
    return value_at(held, stripe.find(held, key, lock));
  }

  void set(kino::gvl const& held, VALUE self, map_key const& key, VALUE object) {
    static_cast<void>(exchange(held, self, key, object, [](found_value const&) { return true; }));
  }

  /// If the value is the object `expected` (none: if there is no value), stores `object`, or the copy of it, and returns it.
  found_value replace(kino::gvl const& held, VALUE self, map_key const& key, found_value expected, VALUE object) {
    return exchange(held, self, key, object, [&](found_value const& current) { return current == expected; });
  }

  found_value remove(kino::gvl const& held, map_key const& key) {
    std::unique_ptr<map_entry> removed;  // destroyed after the lock is released
    map_stripe& stripe = stripe_of(key);
    auto lock = stripe.unlocked();
    link& at = stripe.find(held, key, lock);
    found_value const value = value_at(held, at);
    if (!value) return value;
    removed.reset(at.load(std::memory_order_relaxed));
    stripe.unlink(at);
    return value;
  }

  [[nodiscard]] std::size_t size() {
    std::size_t sum = 0;
    for (map_stripe& each : stripes_) sum += each.size();
    return sum;
  }

  /// [key, value, key, value, ...]
  VALUE contents(kino::gvl const& held) {
    VALUE const all = kino::protect(held, [] { return rb_ary_new(); });
    for (map_stripe& stripe : stripes_) {
      while (!add_contents(held, stripe, all)) {
      }
    }
    return all;
  }

  void mark() const noexcept { objects_.mark(); }

private:
  map_stripe& stripe_of(map_key const& key) { return stripes_[(key.hash() >> 48) % stripes_.size()]; }

  static found_value value_at(kino::gvl const& held, link& at) {
    map_entry* const entry = at.load(std::memory_order_relaxed);
    if (!entry) return std::nullopt;
    return entry->content.load(std::memory_order_relaxed)->value.value(held);
  }

  // If `wanted(current value)`, stores `object`, or the copy of it, and returns it.
  template <class Wanted>
  found_value exchange(kino::gvl const& held, VALUE self, map_key const& key, VALUE object, Wanted wanted) {
    VALUE const shared = stored_form(held, object, "value");
    auto cell = std::make_unique<map_entry::cell>(map_entry::cell{keep(held, self, shared)});
    map_stripe& stripe = stripe_of(key);
    std::unique_ptr<map_entry> fresh;
    for (;;) {
      auto lock = stripe.unlocked();
      link& at = stripe.find(held, key, lock);
      map_entry* const entry = at.load(std::memory_order_relaxed);
      if (!wanted(value_at(held, at))) break;
      if (entry) {
        map_entry::cell* const old = entry->content.exchange(cell.release(), std::memory_order_release);
        lock.unlock();
        delete old;
        return shared;
      }
      if (fresh) {
        fresh->content.store(cell.release(), std::memory_order_relaxed);
        stripe.link(at, fresh.release());
        return shared;
      }
      lock.unlock();
      fresh = make_entry(held, self, key);
      stripe.reserve();
    }
    return std::nullopt;
  }

  std::unique_ptr<map_entry> make_entry(kino::gvl const& held, VALUE self, map_key const& key) {
    auto entry = std::make_unique<map_entry>(key);
    entry->key = keep(held, self, key.object());
    return entry;
  }

  VALUE stored_form(kino::gvl const& held, VALUE object, char const* role) {
    if (kino::is_shareable(held, object)) return object;
    if (copies_) return kino::shareable_copy(held, object);
    char const* name = nullptr;
    kino::protect(held, [&] { name = rb_obj_classname(object); });
    throw kino::raise(rb_eTypeError, std::string("kino: the ") + role + " of a map must be shareable, and this " + name +
                                         " is not: pass Ractor.make_shareable(" + role + "), which freezes it with " +
                                         "everything it refers to, or create the map with copy: true, which freezes a copy");
  }

  kino::shareable keep(kino::gvl const& held, VALUE self, VALUE object) {
    kino::shareable kept = objects_.keep(held, object);
    RB_OBJ_WRITTEN(self, Qundef, object);
    return kept;
  }

  // Whether the stripe's entries are in `all` now. An Array of sufficient size is made before; RARRAY_PTR tells the
  // collector that this one is written to without write barriers.
  static bool add_contents(kino::gvl const& held, map_stripe& stripe, VALUE all) {
    std::size_t const room = stripe.size();
    if (room == 0) return true;
    VALUE* objects = nullptr;
    VALUE const copy = kino::protect(held, [&] {
      VALUE const made = rb_ary_new_capa(static_cast<long>(2 * room));
      rb_ary_store(made, static_cast<long>(2 * room) - 1, Qnil);
      objects = RARRAY_PTR(made);
      return made;
    });
    std::size_t count = 0;
    {
      auto lock = stripe.locked();
      stripe.for_each([&](map_entry& each) {
        if (count < room) {
          objects[2 * count] = each.key.value(held);
          objects[2 * count + 1] = each.content.load(std::memory_order_relaxed)->value.value(held);
        }
        ++count;
      });
    }
    if (count <= room) {
      kino::protect(held, [&] { rb_ary_concat(all, rb_ary_resize(copy, static_cast<long>(2 * count))); });
    }
    return count <= room;
  }

  kino::shareable_set objects_;  // before the stripes, which hold its shareables
  std::array<map_stripe, 32> stripes_;
  bool const copies_;
};
using map_object = kino::native_object<map>;

VALUE value_or(found_value const& found, VALUE otherwise) { return found ? *found : otherwise; }

VALUE create(kino::gvl const& held, VALUE klass, VALUE copies) {
  return map_object::wrap_shareable(held, klass, std::make_unique<map>(RTEST(copies)));
}
VALUE get(kino::gvl const& held, VALUE self, VALUE key) {
  return value_or(map_object::get(held, self).get(held, map_key(held, key)), Qnil);
}
// The value, or else that of the block.
VALUE get_or_yield(kino::gvl const& held, VALUE self, VALUE key) {
  found_value const found = map_object::get(held, self).get(held, map_key(held, key));
  return found ? *found : kino::protect(held, [&] { return rb_yield(key); });
}
VALUE has_key(kino::gvl const& held, VALUE self, VALUE key) {
  return kino::to_ruby(held, map_object::get(held, self).get(held, map_key(held, key)).has_value());
}
VALUE set(kino::gvl const& held, VALUE self, VALUE key, VALUE object) {
  map& here = map_object::get(held, self);
  here.set(held, self, here.key_to_store(held, key), object);
  return object;
}
VALUE remove(kino::gvl const& held, VALUE self, VALUE key) {
  return value_or(map_object::get(held, self).remove(held, map_key(held, key)), Qnil);
}
VALUE compare_and_set(kino::gvl const& held, VALUE self, VALUE key, VALUE expected, VALUE object) {
  map& here = map_object::get(held, self);
  return kino::to_ruby(held, here.replace(held, self, here.key_to_store(held, key), expected, object).has_value());
}

// Computes without a lock. If others were faster, their value.
VALUE compute_if_absent(kino::gvl const& held, VALUE self, VALUE key) {
  map& here = map_object::get(held, self);
  map_key const place = here.key_to_store(held, key);
  VALUE computed = Qundef;
  for (;;) {
    if (found_value const found = here.get(held, place)) return *found;
    if (computed == Qundef) computed = kino::protect(held, [&] { return rb_yield(key); });
    if (found_value const stored = here.replace(held, self, place, std::nullopt, computed)) return *stored;
  }
}

// Computes without a lock, again if the value has changed meanwhile.
VALUE update(kino::gvl const& held, VALUE self, VALUE key) {
  map& here = map_object::get(held, self);
  map_key const place = here.key_to_store(held, key);
  for (;;) {
    found_value const before = here.get(held, place);
    VALUE const computed = kino::protect(held, [&] { return rb_yield(value_or(before, Qnil)); });
    if (found_value const stored = here.replace(held, self, place, before, computed)) return *stored;
    held.check_interrupts();
  }
}

VALUE size(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, map_object::get(held, self).size()); }
VALUE contents(kino::gvl const& held, VALUE self) { return map_object::get(held, self).contents(held); }

}  // namespace

void define_map(kino::gvl const& held, VALUE kino) {
  VALUE const klass = map_object::define_class(held, kino, "Map");
  kino::define_function<create>(klass, "create");
  kino::define_method<get>(klass, "[]");
  kino::define_method<get_or_yield>(klass, "get_or_yield");
  kino::define_method<has_key>(klass, "key?");
  kino::define_method<set>(klass, "[]=");
  kino::define_method<remove>(klass, "delete");
  kino::define_method<compare_and_set>(klass, "compare_and_set");
  kino::define_method<compute_if_absent>(klass, "add_computed");
  kino::define_method<update>(klass, "update_computed");
  kino::define_method<size>(klass, "size");
  kino::define_method<contents>(klass, "contents");
}
