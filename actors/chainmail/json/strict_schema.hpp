// Which JSON schemas providers can hold a model to, token by token.
#pragma once

#include <string_view>

namespace chainmail {

/// Whether OpenAI's "strict" takes the schema: an object whose objects all require all of their
/// properties and allow no other ones, without the keywords that it refuses. With "strict", a schema
/// that is not so is a bad request; without, the model is only asked to keep to it.
bool is_strict_schema(std::string_view schema);

} // namespace chainmail
