// The JSON text of the statistics.

#include "stats.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace chainmail::simulator {

std::string to_json(const stats& counted) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  auto number = [&json](const char* key, std::uint64_t value) {
    json.Key(key);
    json.Uint64(value);
  };
  json.StartObject();
  json.Key("simulation");
  json.Bool(true);
  number("requests", counted.requests);
  json.Key("answered");
  json.StartObject();
  for (std::size_t kind = 0; kind < fault_kinds; ++kind)
    number(to_string(static_cast<fault>(kind)).data(), counted.answered[kind]);
  json.EndObject();
  number("refused", counted.refused);
  number("rate_limited", counted.rate_limited);
  number("outage", counted.outage);
  number("aborted", counted.aborted);
  number("in_flight", counted.in_flight);
  number("most_in_flight", counted.most_in_flight);
  number("distinct_calls", counted.distinct_calls);
  number("repeated_calls", counted.repeated_calls);
  number("streams", counted.streams);
  number("streams_open", counted.streams_open);
  number("most_streams_open", counted.most_streams_open);
  number("tokens_streamed", counted.tokens_streamed);
  number("streams_closed_early", counted.streams_closed_early);
  number("last_closed_early_at", counted.last_closed_early_at);
  number("last_closed_early_after", counted.last_closed_early_after);
  number("connections_accepted", counted.connections_accepted);
  number("connections_open", counted.connections_open);
  number("most_connections_open", counted.most_connections_open);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

} // namespace chainmail::simulator
