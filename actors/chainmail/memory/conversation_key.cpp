// Reading the key of a conversation.
#include <chainmail/errors.hpp>
#include <chainmail/memory/conversation_key.hpp>

#include <caf/expected.hpp>

namespace chainmail {

caf::expected<std::string> conversation_key(const values& inputs) {
  if (!inputs.contains("conversation"))
    return std::string{"default"};
  auto key = get_text(inputs, "conversation");
  if (key && key->empty())
    return make_failure(errc::invalid_input, "the input 'conversation' is empty");
  return key;
}

} // namespace chainmail
