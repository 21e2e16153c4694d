// Every chain that chainmail has, over HTTP against the simulator: once by itself, then five at once.
#include <chainmail/chainmail.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <simulator/simulator.hpp>

namespace chains_test {

using namespace chainmail;
using namespace std::literals;

namespace {

constexpr auto latency = 40ms;
constexpr auto patience = 20s;

const std::vector<document> library = {{"The octopus has three hearts.", {{"source", "sea.md"}}},
    {"The bridge of Lund is 300 metres long.", {{"source", "bridge.md"}}},
    {"Ada Lovelace wrote the first program.", {{"source", "people.md"}}}};

constexpr auto hearts = "How many hearts does the octopus have?";
constexpr auto three = "The octopus has three hearts.";

/// What a program has that asks about the library: real actors, and an endpoint to ask.
struct world {
  simulator::server server{options_of_server()};
  caf::actor_system_config config;
  caf::actor_system system{tuned(config)};
  caf::scoped_actor self{system};
  openai_options endpoint = options_of_endpoint(server);
  http_actor http = spawn_http(system);
  llm_actor llm = spawn_llm(system, http, {.endpoint = endpoint});

  static simulator::options options_of_server() {
    simulator::options result;
    result.latency = latency;
    return result;
  }

  static caf::actor_system_config& tuned(caf::actor_system_config& config) {
    tune_scheduler(config);
    return config;
  }

  static openai_options options_of_endpoint(const simulator::server& server) {
    openai_options result;
    result.base_url = server.base_url();
    return result;
  }

  chain_actor asks(const char* prompt, std::string output_key = "text") {
    llm_chain_options options;
    options.output_key = std::move(output_key);
    return spawn_llm_chain(system, llm, prompt, options);
  }

  chain_actor stuffs() {
    return spawn_stuff_chain(system, asks("{context}\n\nQuestion: {question}\nHelpful Answer:"));
  }

  retriever_actor retrieves(const retriever_options& options = {}) {
    auto embedder = spawn_openai_embedder(system, http, endpoint);
    auto index = spawn_vector_index(system);
    REQUIRE(add_documents(self, embedder, index, library, patience));
    return spawn_retriever(system, embedder, index, options);
  }

  /// Says something in the conversation that all calls share.
  chain_actor told(chain_actor chain, values inputs) {
    auto answer = call(self, chain, std::move(inputs), patience);
    REQUIRE(answer);
    return chain;
  }
};

using texts = std::map<std::string, std::string>;

struct chain_case {
  const char* name;
  std::function<chain_actor(world&)> spawn;
  values inputs;
  /// All of the outputs.
  texts outputs;
  bool asks_the_endpoint = true;
};

/// Line by line, for Catch to print. Blanks around a text are the model's habit.
std::string show(const texts& outputs) {
  std::string result;
  for (const auto& [key, text] : outputs)
    result += key + ": " + std::string{trimmed(text)} + '\n';
  return result;
}

std::string show(const values& outputs) {
  texts result;
  for (const auto& [key, what] : outputs)
    REQUIRE(append_text(result[key], what));
  return show(result);
}

void check_alone(world& in, const chain_actor& chain, const chain_case& what) {
  auto answer = call(in.self, chain, what.inputs, patience);
  INFO((answer ? "" : describe(answer.error())));
  REQUIRE(answer);
  CHECK(show(*answer) == show(what.outputs));
  CHECK((in.server.snapshot().requests > 0) == what.asks_the_endpoint);
}

/// More requests at once than one call ever has: then calls overlapped.
void check_five_at_once(world& in, const chain_actor& chain, const chain_case& what) {
  auto at_once_alone = in.server.snapshot().most_in_flight;
  auto answers = gather(in.self, chain, std::vector<values>(5, what.inputs), {}, patience);
  REQUIRE(answers);
  CHECK(answers->size() == 5);
  for (const auto& answer : *answers) {
    INFO(describe(answer.error));
    REQUIRE(answer.ok());
    CHECK(show(answer.result) == show(what.outputs));
  }
  if (what.asks_the_endpoint)
    CHECK(in.server.snapshot().most_in_flight > at_once_alone);
}

void check_each(const std::vector<chain_case>& cases) {
  for (const auto& what : cases) {
    INFO(what.name);
    world in;
    auto chain = what.spawn(in);
    check_alone(in, chain, what);
    check_five_at_once(in, chain, what);
  }
}

values question_over_library() {
  return {{"input_documents", library}, {"question", hearts}};
}

} // namespace

// -- prompts and wiring -------------------------------------------------------------------

TEST_CASE("chains of a prompt answer by themselves and five at once") {
  check_each({
      {"an LLM chain",
          [](world& in) {
            return in.asks("Context: The octopus has three hearts.\n\nQuestion: {question}\n"
                           "Answer:");
          },
          {{"question", hearts}}, {{"text", three}}},
      {"a structured chain",
          [](world& in) {
            return spawn_structured_chain(in.system, in.llm, "{text}",
                R"({"type":"object","properties":{"count":{"type":"integer"}},"required":["count"]})");
          },
          {{"text", "There are 3 hearts."}}, {{"json", R"({"count":3})"}}},
      {"a math chain", [](world& in) { return spawn_llm_math_chain(in.system, in.llm); },
          {{"question", "What is 37593 * 67?"}}, {{"answer", "Answer: 2518731"}}},
  });
}

namespace {

constexpr auto about_sea = "Context: The octopus has three hearts.\n\nQuestion: {input}\nAnswer:";
constexpr auto about_bridges = "Context: The bridge of Lund is 300 metres long.\n\n"
                               "Question: {input}\nAnswer:";
constexpr auto about_answer = "Context: {text}\n\nQuestion: What has three hearts?\nAnswer:";

route_map routes_of(world& in) {
  return {{"sea", {"Good for the octopus and its hearts", in.asks(about_sea)}},
      {"bridges", {"Good for bridges and towers", in.asks(about_bridges)}}};
}

} // namespace

TEST_CASE("chains of other chains answer by themselves and five at once") {
  check_each({
      {"a sequential chain",
          [](world& in) {
            return spawn_sequential_chain(
                in.system, {in.asks(about_sea), in.asks(about_answer, "again")});
          },
          {{"input", hearts}}, {{"again", three}}},
      {"a simple sequential chain",
          [](world& in) {
            return spawn_simple_sequential_chain(
                in.system, {in.asks(about_sea), in.asks(about_answer, "again")});
          },
          {{"input", hearts}}, {{"output", three}}},
      {"a parallel chain",
          [](world& in) {
            return spawn_parallel_chain(
                in.system, {{"sea", in.asks(about_sea)}, {"bridges", in.asks(about_bridges)}});
          },
          {{"input", hearts}}, {{"sea", three}, {"bridges", "I don't know."}}},
      {"a router chain with a function",
          [](world& in) {
            return spawn_router_chain(
                in.system, routes_of(in), [](const values&) { return "sea"s; });
          },
          {{"input", hearts}}, {{"text", three}}},
      {"a router chain with a model",
          [](world& in) { return spawn_llm_router_chain(in.system, in.llm, routes_of(in)); },
          {{"input", hearts}}, {{"text", three}}},
      {"a transform chain",
          [](world& in) {
            return spawn_transform_chain(in.system, {"input"}, {"length"},
                [](const values& inputs) -> caf::expected<values> {
                  return values{
                      {"length", static_cast<int64_t>(get_text(inputs, "input")->size())}};
                });
          },
          {{"input", "four"}}, {{"length", "4"}}, false},
  });
}

// -- documents ----------------------------------------------------------------------------

TEST_CASE("chains that combine documents answer by themselves and five at once") {
  check_each({
      {"a stuff chain", [](world& in) { return in.stuffs(); }, question_over_library(),
          {{"output_text", three}}},
      {"a map_reduce chain",
          [](world& in) {
            return spawn_map_reduce_chain(
                in.system, {in.asks("{context}\n\nQuestion: {question}\nRelevant text, if any:"),
                               in.stuffs(), {}});
          },
          question_over_library(), {{"output_text", three}}},
      {"a refine chain",
          [](world& in) {
            return spawn_refine_chain(in.system,
                {in.asks("{context_str}\n\nQuestion: {question}\nHelpful Answer:"),
                    in.asks("The original question is as follows: {question}\n"
                            "We have provided an existing answer: {existing_answer}\n"
                            "------------\n{context_str}\n------------\nRefined Answer:")});
          },
          question_over_library(), {{"output_text", three}}},
      {"a map_rerank chain",
          [](world& in) {
            return spawn_map_rerank_chain(in.system,
                in.asks("Context:\n---------\n{context}\n---------\nQuestion: {question}\n"
                        "Helpful Answer In This Format:\n"));
          },
          question_over_library(), {{"output_text", three}}},
  });
}

TEST_CASE("question answering of every type answers by itself and five at once") {
  std::vector<chain_case> cases;
  for (auto type : {qa_type::stuff, qa_type::map_reduce, qa_type::refine, qa_type::map_rerank}) {
    cases.push_back({to_string(type).data(),
        [type](world& in) { return spawn_qa_chain(in.system, in.llm, type); },
        question_over_library(), {{"output_text", three}}});
    cases.push_back({to_string(type).data(),
        [type](world& in) { return spawn_qa_with_sources_chain(in.system, in.llm, type); },
        question_over_library(), {{"answer", three}, {"sources", "sea.md"}}});
  }
  check_each(cases);
}

TEST_CASE("summaries of every type answer by themselves and five at once") {
  const values octopuses = {{"input_documents",
      std::vector<document>{{three, {}}, {"Octopuses have blue blood and live alone.", {}}}}};
  auto spawns = [](summarize_type type) {
    return [type](world& in) { return spawn_summarize_chain(in.system, in.llm, type); };
  };
  check_each({
      {"stuff", spawns(summarize_type::stuff), octopuses, {{"output_text", three}}},
      {"map_reduce", spawns(summarize_type::map_reduce), octopuses, {{"output_text", three}}},
      {"refine", spawns(summarize_type::refine), octopuses,
          {{"output_text", three + " Octopuses have blue blood and live alone."s}}},
  });
}

// -- retrieval ----------------------------------------------------------------------------

namespace {

retriever_options by_relevance() {
  retriever_options result;
  result.mmr_lambda = 0.5;
  return result;
}

chat_vector_db_options with_memory(world& in) {
  chat_vector_db_options result;
  result.memory = spawn_buffer_memory(in.system);
  return result;
}

} // namespace

TEST_CASE("chains that look documents up answer by themselves and five at once") {
  const std::vector<chat_message> history = {
      {"user", "Where does the octopus live?"}, {"assistant", "In the sea."}};
  check_each({
      {"retrieval QA by similarity",
          [](world& in) { return spawn_retrieval_qa_chain(in.system, in.llm, in.retrieves()); },
          {{"query", hearts}}, {{"result", three}}},
      {"retrieval QA by marginal relevance",
          [](world& in) {
            return spawn_retrieval_qa_chain(in.system, in.llm, in.retrieves(by_relevance()));
          },
          {{"query", hearts}}, {{"result", three}}},
      {"a chat over documents, without a history",
          [](world& in) { return spawn_chat_vector_db_chain(in.system, in.llm, in.retrieves()); },
          {{"question", hearts}}, {{"answer", three}}},
      {"a chat over documents, with a history of the caller's",
          [](world& in) { return spawn_chat_vector_db_chain(in.system, in.llm, in.retrieves()); },
          {{"question", "How many hearts does it have?"}, {"chat_history", history}},
          {{"answer", three}}},
      {"a chat over documents, with a memory",
          [](world& in) {
            return in.told(spawn_conversational_retrieval_chain(
                               in.system, in.llm, in.retrieves(), with_memory(in)),
                {{"question", "Where does the octopus live?"}});
          },
          {{"question", "How many hearts does it have?"}}, {{"answer", three}}},
  });
}

// -- conversations ------------------------------------------------------------------------

namespace {

/// Waits until what was said is in the summary alone.
void await_summary(world& in, const memory_actor& memory) {
  auto is_summarised = false;
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (!is_summarised && std::chrono::steady_clock::now() < give_up)
    compat::request_within(
        patience, in.self.ptr(), memory, load_atom_v, "default"s, make_context(in.self.ptr()))
        .receive([&](const conversation& now) { is_summarised = now.turns.empty(); },
            [](const caf::error& error) { FAIL(describe(error)); });
  REQUIRE(is_summarised);
}

chain_actor chats(world& in, const memory_actor& memory) {
  return in.told(
      spawn_conversation_chain(in.system, in.llm, memory), {{"input", "My name is Ada."}});
}

chain_actor chats_with_summary(world& in, const memory_actor& memory) {
  auto result = chats(in, memory);
  await_summary(in, memory);
  return result;
}

} // namespace

TEST_CASE("conversations with every memory answer by themselves and five at once") {
  const values asked = {{"input", "What is my name?"}};
  const texts said = {{"response", "You said: \"My name is Ada.\""}};
  const texts summed_up = {
      {"response", "From what was said before: The human said: \"My name is Ada.\""}};
  check_each({
      {"buffer", [](world& in) { return chats(in, spawn_buffer_memory(in.system)); }, asked, said},
      {"window", [](world& in) { return chats(in, spawn_window_memory(in.system)); }, asked, said},
      {"summary",
          [](world& in) { return chats_with_summary(in, spawn_summary_memory(in.system, in.llm)); },
          asked, summed_up},
      {"summary buffer",
          [](world& in) {
            summary_memory_options options;
            options.max_tokens = 1;
            return chats_with_summary(in, spawn_summary_buffer_memory(in.system, in.llm, options));
          },
          asked, summed_up},
  });
}

// -- agents -------------------------------------------------------------------------------

namespace {

std::vector<tool_actor> tools_of(world& in) {
  return {spawn_calculator_tool(in.system),
      spawn_tool(in.system,
          {"population", "How many people live in a city.",
              R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"},
          [](const std::string& arguments) {
            return arguments.find("Oslo") == std::string::npos ? "unknown"s : "709037"s;
          })};
}

} // namespace

TEST_CASE("agents answer by themselves and five at once") {
  const values asked = {{"input", "How many people live in Oslo, and what is 37593 * 67?"}};
  const texts said = {{"output", "population (Oslo): 709037\ncalculator (37593 * 67): 2518731"}};
  check_each({
      {"a tool agent", [](world& in) { return spawn_tool_agent(in.system, in.llm, tools_of(in)); },
          asked, said},
      {"a ReAct agent",
          [](world& in) { return spawn_react_agent(in.system, in.llm, tools_of(in)); }, asked,
          said},
  });
}

} // namespace chains_test
