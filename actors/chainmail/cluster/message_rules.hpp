#pragma once
#include <caf/error.hpp>
#include <caf/message.hpp>
namespace chainmail {
caf::error check_message(const caf::message&);
}
