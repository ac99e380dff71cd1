// SPDX-License-Identifier: MIT
//
// The former place of <kino/extension.hpp>.

#pragma once

#include <kino/extension.hpp>
