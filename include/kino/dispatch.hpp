// SPDX-License-Identifier: MIT
//
// All of kino: hands work from native threads to Ruby Ractors.

#pragma once

#include <kino/broadcast.hpp>
#include <kino/channel.hpp>
#include <kino/condition.hpp>
#include <kino/convert.hpp>
#include <kino/dispatcher.hpp>
#include <kino/extension.hpp>
#include <kino/fork_mark.hpp>
#include <kino/frozen_strings.hpp>
#include <kino/gvl.hpp>
#include <kino/leaf_mutex.hpp>
#include <kino/native_thread.hpp>
#include <kino/notifier.hpp>
#include <kino/outcome.hpp>
#include <kino/parker.hpp>
#include <kino/ractor_starter.hpp>
#include <kino/registry.hpp>
#include <kino/responder.hpp>
#include <kino/ruby_features.hpp>
#include <kino/run_permits.hpp>
#include <kino/shareable.hpp>
#include <kino/shareable_cache.hpp>
#include <kino/shared_answer.hpp>
#include <kino/shared_cache.hpp>
#include <kino/start_thread.hpp>
#include <kino/stats.hpp>
#include <kino/usable_cpus.hpp>
#include <kino/version.hpp>
#include <kino/wait.hpp>
#include <kino/worker_slots.hpp>
