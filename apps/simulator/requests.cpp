// The readers of request JSON.

#include "requests.hpp"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <algorithm>
#include <array>
#include <limits>

namespace chainmail::simulator {

namespace {

using rapidjson::Value;

constexpr std::size_t most_nesting = 256;
constexpr std::size_t most_choices = 8192;
constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

[[noreturn]] void refuse(std::string_view field, std::string_view wanted) {
  throw refusal{.message = "'" + std::string(field) + "' must be " + std::string(wanted),
      .param = std::string(field)};
}

// -- parsing ------------------------------------------------------------------

/// RapidJSON's iterative parser spends heap instead of stack on nesting: bounded here all the same.
bool is_nested_deeper_than(std::string_view json, std::size_t limit) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit)
        return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

/// A parsed body. The usual one fits in the pool on the stack.
class document {
public:
  explicit document(std::string_view json) : allocator_(pool_.data(), pool_.size()) {
    if (is_nested_deeper_than(json, most_nesting))
      throw refusal{.message = "the JSON body is nested more than 256 levels deep"};
    constexpr unsigned flags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    root_.Parse<flags>(json.data(), json.size());
    if (root_.HasParseError())
      throw refusal{.message = "the body is not valid JSON: " +
                               std::string(rapidjson::GetParseError_En(root_.GetParseError())) +
                               " (byte " + std::to_string(root_.GetErrorOffset()) + ")"};
    if (!root_.IsObject())
      throw refusal{.message = "the JSON body must be an object"};
  }

  const Value& root() const { return root_; }

private:
  alignas(std::max_align_t) std::array<char, 4096> pool_;
  rapidjson::MemoryPoolAllocator<> allocator_;
  rapidjson::Document root_{&allocator_};
};

// -- fields -------------------------------------------------------------------

/// Null counts as absent, as in the API.
const Value* find(const Value& object, const char* key) {
  auto member = object.FindMember(key);
  return member == object.MemberEnd() || member->value.IsNull() ? nullptr : &member->value;
}

std::string_view view(const Value& text) {
  return {text.GetString(), text.GetStringLength()};
}

std::optional<std::uint64_t> whole_number(
    const Value& root, const char* key, std::uint64_t least, std::uint64_t most) {
  const Value* value = find(root, key);
  if (value == nullptr)
    return {};
  if (value->IsUint64() && value->GetUint64() >= least && value->GetUint64() <= most)
    return value->GetUint64();
  auto limits = most == unlimited ? "of at least " + std::to_string(least)
                                  : "from " + std::to_string(least) + " to " + std::to_string(most);
  refuse(key, "a whole number " + limits);
}

void check_number(const Value& root, const char* key) {
  if (const Value* value = find(root, key); value != nullptr && !value->IsNumber())
    refuse(key, "a number");
}

/// False when it is not there.
bool boolean(const Value& root, const char* key) {
  const Value* value = find(root, key);
  if (value == nullptr)
    return false;
  if (!value->IsBool())
    refuse(key, "a boolean");
  return value->GetBool();
}

/// A string or an array of strings.
std::vector<std::string> strings(
    const Value& value, const char* key, std::size_t most, std::string_view wanted) {
  std::vector<std::string> result;
  if (value.IsString()) {
    result.emplace_back(view(value));
    return result;
  }
  if (!value.IsArray() || value.Empty() || value.Size() > most)
    refuse(key, wanted);
  for (const auto& item : value.GetArray()) {
    if (!item.IsString())
      refuse(key, wanted);
    result.emplace_back(view(item));
  }
  return result;
}

// -- what the endpoints share -------------------------------------------------

std::string read_model(const Value& root, std::string_view deployment) {
  if (!deployment.empty())
    return std::string(deployment);
  const Value* model = find(root, "model");
  if (model == nullptr)
    throw refusal{.message = "you must provide a 'model'", .param = "model"};
  if (!model->IsString() || model->GetStringLength() == 0)
    refuse("model", "a string that is not empty");
  return std::string(view(*model));
}

generation read_common(const Value& root, std::string_view deployment) {
  generation result;
  result.model = read_model(root, deployment);
  result.stream = boolean(root, "stream");
  if (const Value* wanted = find(root, "stream_options"); wanted != nullptr) {
    if (!wanted->IsObject() || !result.stream)
      refuse("stream_options", "an object, and only there with 'stream': true");
    result.include_usage = boolean(*wanted, "include_usage");
  }
  result.n = static_cast<std::size_t>(whole_number(root, "n", 1, 128).value_or(1));
  result.max_tokens = whole_number(root, "max_tokens", 1, unlimited);
  if (const Value* stop = find(root, "stop"); stop != nullptr)
    result.stop = strings(*stop, "stop", 4, "a string or an array of 1 to 4 strings");
  for (auto key : {"temperature", "top_p", "presence_penalty", "frequency_penalty"})
    check_number(root, key);
  return result;
}

// -- chat ---------------------------------------------------------------------

/// The text of a message's content: a string, or the text parts of an array; null for tool calls.
std::string content_text(const Value& message) {
  const Value* content = find(message, "content");
  if (content == nullptr)
    return {};
  if (content->IsString())
    return std::string(view(*content));
  constexpr auto wanted =
      "an array of objects with a string 'role' and a 'content' that is a string, "
      "null or an array of parts";
  if (!content->IsArray())
    refuse("messages", wanted);
  std::string text;
  for (const auto& part : content->GetArray()) {
    if (!part.IsObject())
      refuse("messages", wanted);
    if (const Value* piece = find(part, "text"); piece != nullptr) {
      if (!piece->IsString())
        refuse("messages", wanted);
      text += view(*piece);
    }
  }
  return text;
}

} // namespace

// -- the readers --------------------------------------------------------------

generation read_completion(std::string_view json, std::string_view deployment) {
  document body(json);
  auto result = read_common(body.root(), deployment);
  auto best_of = whole_number(body.root(), "best_of", 1, 128);
  if (best_of && *best_of < result.n)
    refuse("best_of", "at least 'n'");
  constexpr auto wanted =
      "a string or an array of 1 to 2048 strings (token numbers are not simulated)";
  const Value* prompt = find(body.root(), "prompt");
  if (prompt == nullptr)
    refuse("prompt", wanted);
  result.prompts = strings(*prompt, "prompt", 2048, wanted);
  if (result.prompts.size() * result.n > most_choices)
    refuse("n", "so small that all prompts together get at most 8192 choices");
  for (const auto& text : result.prompts)
    result.prompt_bytes += text.size();
  return result;
}

generation read_chat(std::string_view json, std::string_view deployment) {
  document body(json);
  auto result = read_common(body.root(), deployment);
  if (auto newer = whole_number(body.root(), "max_completion_tokens", 1, unlimited))
    result.max_tokens = newer;
  const Value* messages = find(body.root(), "messages");
  if (messages == nullptr || !messages->IsArray() || messages->Empty())
    refuse("messages", "an array of at least one message");
  auto& texts = result.history;
  std::optional<std::size_t> last_by_user;
  for (const auto& message : messages->GetArray()) {
    if (!message.IsObject())
      refuse("messages", "an array of objects");
    const Value* role = find(message, "role");
    if (role == nullptr || !role->IsString())
      refuse("messages", "an array of objects that each have a string 'role'");
    texts.push_back({std::string(view(*role)), content_text(message)});
    result.prompt_bytes += texts.back().text.size();
    if (texts.back().role == "user")
      last_by_user = texts.size() - 1;
  }
  auto last = last_by_user.value_or(texts.size() - 1);
  result.prompts.push_back(std::move(texts[last].text));
  texts.resize(last);
  return result;
}

embedding_request read_embeddings(std::string_view json, std::string_view deployment) {
  document body(json);
  embedding_request result;
  result.model = read_model(body.root(), deployment);
  constexpr auto wanted = "a string or an array of 1 to 2048 strings, none of them empty (token "
                          "numbers are not simulated)";
  const Value* input = find(body.root(), "input");
  if (input == nullptr)
    refuse("input", wanted);
  result.inputs = strings(*input, "input", 2048, wanted);
  for (const auto& text : result.inputs) {
    if (text.empty())
      refuse("input", wanted);
    result.input_bytes += text.size();
  }
  auto dimensions = whole_number(body.root(), "dimensions", 1, 3072);
  result.dimensions = static_cast<std::size_t>(dimensions.value_or(result.dimensions));
  if (const Value* format = find(body.root(), "encoding_format"); format != nullptr) {
    auto name = format->IsString() ? view(*format) : std::string_view{};
    if (name != "float" && name != "base64")
      refuse("encoding_format", "\"float\" or \"base64\"");
    result.as_base64 = name == "base64";
  }
  return result;
}

std::string_view utf8_prefix(std::string_view text, std::size_t limit) {
  if (text.size() <= limit)
    return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U)
    --limit;
  return text.substr(0, limit);
}

} // namespace chainmail::simulator
