// Who may wait.
#include <chainmail/errors.hpp>
#include <chainmail/limits/callers.hpp>

namespace chainmail {

namespace {

/// In bytes: whoever sends more sends something else.
constexpr size_t longest_caller_name = 1'000;

} // namespace

caf::error refuse_unfit(
    const caf::strong_actor_ptr& holder, const std::string& key, const std::string& tenant) {
  if (!holder)
    return make_failure(errc::invalid_input,
        "a permit must have a holder: send a request from an actor that waits for the answer");
  if (key.size() > longest_caller_name || tenant.size() > longest_caller_name)
    return make_failure(errc::invalid_input,
        "the key or the tenant of a request has more than " + std::to_string(longest_caller_name) +
            " bytes: name the endpoint and the model, not the request");
  return {};
}

} // namespace chainmail
