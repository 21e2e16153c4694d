#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

#include <regex>

namespace demo_test {

using namespace chainmail::test;
using namespace std::literals;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

rapidjson::Document json_in(const std::string& file) {
  rapidjson::Document result;
  result.Parse(read_file(file).c_str());
  REQUIRE(result.IsObject());
  return result;
}

/// A demo against a simulator that was told what to do.
struct fixture {
  program_result demo(const std::vector<std::string>& simulator_arguments,
      std::vector<std::string> arguments, environment variables = {}) {
    simulator_process simulator{simulator_arguments};
    variables.emplace("OPENAI_BASE_URL", simulator.base_url());
    arguments.push_back("--json=" + folder.path("figures.json"));
    return run_program("chainmail-demo", std::move(arguments), std::move(variables));
  }

  temporary_folder folder;
};

} // namespace

TEST_CASE(
    "the demo without a key simulates, says so, and is about five times faster concurrently") {
  temporary_folder folder;
  auto result = run_program("chainmail-demo", {"--json=" + folder.path("f.json")});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "simulated"));
  CHECK(std::regex_search(result.out, std::regex{R"(Concurrent executed in 1\.\d\d seconds\.)"}));
  CHECK(std::regex_search(result.out, std::regex{R"(Serial executed in 6\.\d\d seconds\.)"}));
  CHECK(contains(result.out, "Speed-up:"));
  auto figures = json_in(folder.path("f.json"));
  CHECK(figures["concurrent_s"].GetDouble() >= 1.28);
  CHECK(figures["serial_s"].GetDouble() >= 6.4);
  CHECK(figures["speedup"].GetDouble() > 4.5);
  CHECK(figures["calls"].GetInt() == 10);
  CHECK(figures["errors"].GetInt() == 0);
}

TEST_CASE_METHOD(fixture, "the demo's count, prompt, inputs, model and interface can be chosen") {
  auto result = demo({}, {"--count=3", "--prompt=Say {word} to {{me}} as {who}",
                             "--input=word=hi, x=y", "--input", "who=ü", "--model=m1", "--chat"});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "Say hi, x=y to {me} as ü"));
  CHECK(json_in(folder.path("figures.json"))["calls"].GetInt() == 6);
}

TEST_CASE_METHOD(fixture, "the demo makes a failed call again") {
  auto result = demo({"--script=ok,500,ok"}, {"--count=3"});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(json_in(folder.path("figures.json"))["errors"].GetInt() == 0);
}

TEST_CASE_METHOD(fixture, "the demo shows a failed call with its reason and keeps the others") {
  auto result = demo({"--script=ok,500,ok"}, {"--count=3", "--llm.attempts=1"});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(contains(result.out, "failed: server_error"));
  CHECK(contains(result.out, "Speed-up"));
  auto figures = json_in(folder.path("figures.json"));
  CHECK(figures["calls"].GetInt() == 6);
  CHECK(figures["errors"].GetInt() == 1);
}

TEST_CASE_METHOD(fixture, "a wrong key is an authentication error that does not show the key") {
  auto result = demo({"--api-key=sk-right-key"}, {}, {{"OPENAI_API_KEY", "sk-wrong-key"}});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(contains(result.out, "authentication"));
  CHECK(contains(result.out, "OPENAI_API_KEY"));
  CHECK_FALSE(contains(result.said(), "sk-wrong-key"));
  CHECK_FALSE(contains(result.said(), "sk-right-key"));
  CHECK_FALSE(contains(read_file(folder.path("figures.json")), "sk-"));
}

TEST_CASE_METHOD(fixture, "the right key is sent, and an unknown model is not found") {
  environment key{{"OPENAI_API_KEY", "sk-right-key"}};
  CHECK(demo({"--api-key=sk-right-key"}, {"--count=1"}, key).status == 0);
  auto result = demo({"--models=known"}, {"--model=other"});
  CHECK(result.status == 1);
  CHECK(contains(result.out, "not_found"));
}

TEST_CASE_METHOD(
    fixture, "replies that are cut or no JSON are malformed, and end the demo in order") {
  for (auto* fault : {"invalid_json", "truncated"}) {
    auto result = demo({"--fault="s + fault + ":1"}, {"--llm.attempts=2"});
    INFO(result.said());
    CHECK(result.status == 1);
    CHECK(contains(result.out, "malformed_response"));
    CHECK(contains(result.out, "serial run is left out"));
    CHECK(json_in(folder.path("figures.json"))["serial_s"].IsNull());
  }
}

TEST_CASE("a refused connection and an unknown host are said in words") {
  for (auto* url : {"http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"}) {
    auto result = run_program("chainmail-demo", {"--llm.attempts=1"}, {{"OPENAI_BASE_URL", url}});
    INFO(result.said());
    CHECK(result.status == 1);
    CHECK(contains(result.out, "connection_failed"));
    CHECK(contains(result.out, url));
  }
}

TEST_CASE_METHOD(fixture, "output that goes to no terminal has no escape sequences") {
  auto result = demo({}, {});
  CHECK(result.status == 0);
  CHECK_FALSE(contains(result.out, "\033"));
}

TEST_CASE_METHOD(
    fixture, "streams that go to no terminal are plain lines, with first-token times") {
  auto result = demo({"--latency=20ms", "--token-rate=500"}, {"--stream", "--count=3"});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK_FALSE(contains(result.out, "\033"));
  CHECK(contains(result.out, "toothpaste"));
  CHECK(contains(result.out, "Concurrent executed in "));
  CHECK(std::regex_search(result.out, std::regex{R"(  first (\d+\.\d ms|\d\.\d\d s))"}));
  CHECK(json_in(folder.path("figures.json"))["calls"].GetInt() == 6);
}

TEST_CASE("on a terminal, each stream is a line that is written over as it grows") {
  simulator_process simulator{{"--latency=20ms", "--token-rate=100"}};
  auto shown = run_on_terminal("chainmail-demo", {"--stream", "--count=3", "--input=product=socks"},
      {{"OPENAI_BASE_URL", simulator.base_url()}, {"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}})
                   .out;
  INFO(shown);
  CHECK(contains(shown, "\033[3A\r\033[K")); // back to the first of three lines
  CHECK(contains(shown, "✓"));
  CHECK(contains(shown, "Speed-up:"));
  // Twenty frames a second, and one for each of the two runs.
  size_t frames = 0;
  for (auto at = shown.find("\033[3A"); at != std::string::npos; at = shown.find("\033[3A", at + 1))
    ++frames;
  CHECK(frames >= 4);
  CHECK(frames < 400);
}

TEST_CASE_METHOD(fixture, "the timeline is a self-contained picture or page") {
  auto svg = demo({}, {"--timeline=" + folder.path("t.svg")});
  CHECK(svg.status == 0);
  CHECK(contains(read_file(folder.path("t.svg")), "<svg "));
  auto html = demo({}, {"--timeline=" + folder.path("t.html")});
  CHECK(html.status == 0);
  auto page = read_file(folder.path("t.html"));
  CHECK(page.starts_with("<!doctype html>"));
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "src="));
}

TEST_CASE("options that make no sense are refused with a sentence and the status 2") {
  for (const auto& [option, word] :
      std::map<std::string, std::string>{{"--bogus=1", "--bogus"}, {"--count=0", "--count"},
          {"--count=many", "many"}, {"--input=x", "NAME=TEXT"}, {"--prompt={", "closed"},
          {"--prompt={a}", "'a'"}, {"--timeline=x.png", ".svg"}, {"stray", "stray"}}) {
    auto result = run_program("chainmail-demo", {option});
    INFO(option << ": " << result.said());
    CHECK(result.status == 2);
    CHECK(contains(result.err, word));
    CHECK(result.out.empty());
  }
  auto both = run_program("chainmail-demo", {"--stream", "--nodes=2"});
  CHECK(both.status == 2);
  CHECK(contains(both.err, "--stream and --nodes"));
  auto extra = run_program("chainmail-demo", {"--input=product=a", "--input=zz=1"});
  CHECK(extra.status == 2);
  CHECK(contains(extra.err, "'zz'"));
}

TEST_CASE("a base URL that is none and a file that cannot be written are said before or after") {
  auto bad = run_program("chainmail-demo", {}, {{"OPENAI_BASE_URL", "localhost:80"}});
  CHECK(bad.status == 2);
  CHECK(contains(bad.err, "http://"));
  simulator_process simulator{{}};
  auto unwritable = run_program("chainmail-demo", {"--json=/no/such/folder/x.json"},
      {{"OPENAI_BASE_URL", simulator.base_url()}});
  CHECK(unwritable.status == 1);
  CHECK(contains(unwritable.err, "/no/such/folder/x.json"));
}

TEST_CASE("over three nodes, one is killed and no call is lost") {
  temporary_folder folder;
  auto result =
      run_program("chainmail-demo", {"--nodes=3", "--count=12", "--json=" + folder.path("f.json"),
                                        "--timeline=" + folder.path("f.svg")});
  INFO(result.said());
  REQUIRE(result.status == 0);
  rapidjson::Document figures;
  figures.Parse(read_file(folder.path("f.json")).c_str());
  REQUIRE(figures.IsObject());
  CHECK(figures["calls"].GetInt() == 12);
  CHECK(figures["answered"].GetInt() == 12);
  CHECK(figures["killed"].GetString() == "node-2"s);
  CHECK(figures["killed_at_s"].GetDouble() > 0.3);
  CHECK(figures["lost"].GetInt() > 0);
  auto answered = 0;
  for (const auto& node : std::as_const(figures)["by_node"].GetObject())
    answered += node.value.GetInt();
  CHECK(answered == 12);
  CHECK(figures["by_node"]["node-2"].GetInt() == 0);
  CHECK(figures["by_node"]["node-1"].GetInt() > 0);
  CHECK(figures["by_node"]["node-3"].GetInt() > 0);
  CHECK(contains(result.out, "simulated"));
  CHECK(contains(result.out, "node-2 was killed at"));
  CHECK(contains(result.out, "(taken over)"));
  CHECK(contains(result.out, "12 of 12 calls answered"));
  CHECK(contains(read_file(folder.path("f.svg")), "node-2, killed at"));
}

TEST_CASE("help is printed and is no error") {
  for (auto* name :
      {"chainmail-demo", "chainmail-bench", "chainmail-simulator", "chainmail-node"}) {
    auto result = run_program(name, {"--help"});
    CHECK(result.status == 0);
    CHECK(contains(result.said(), "--help"));
  }
}

TEST_CASE("an endpoint that accepts and says nothing ends in time-outs, not in a hang", "[long]") {
  simulator_process simulator{{"--fault=hang:1"}};
  auto result = run_program("chainmail-demo", {"--count=2", "--llm.attempts=1"},
      {{"OPENAI_BASE_URL", simulator.base_url()}}, 90s);
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(contains(result.out, "timed_out"));
}

} // namespace demo_test
