#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace ask_test {

using namespace chainmail::test;
using namespace std::literals;

namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A folder of documents, and a cache that is nobody's.
struct fixture {
  fixture() {
    write("bridges.md", "# Bridges\n\nThe old bridge of Varn has seven arches.\n\n"
                        "## Tolls\n\nA cart pays four florins at the bridge.\n");
    write("birds/heron.txt", "The heron nests in March.\nIt lays five blue eggs.\n");
    write("mills.md", "The mill at Orsk grinds barley only.\n");
  }

  void write(const std::string& name, const std::string& text) const {
    auto path = fs::path{documents} / name;
    fs::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << text;
  }

  /// Many small files, one piece each.
  void write_many(int count) const {
    for (auto i = 0; i < count; ++i)
      write("many/" + std::to_string(i) + ".txt",
          "Drawer number " + std::to_string(i) + " holds " + std::to_string(7 * i) + " coins.\n");
  }

  [[nodiscard]] environment with(environment variables) const {
    variables.emplace("XDG_CACHE_HOME", folder.path("cache"));
    variables.emplace("LANG", "C.UTF-8");
    return variables;
  }

  [[nodiscard]] program_result ask(std::vector<std::string> arguments,
      const std::string& input = {}, environment variables = {}) const {
    arguments.push_back("--docs=" + documents);
    return run_program(
        "chainmail-ask", std::move(arguments), with(std::move(variables)), 60s, input);
  }

  [[nodiscard]] program_result ask_on_terminal(
      std::vector<std::string> arguments, const std::string& input = {}) const {
    arguments.push_back("--docs=" + documents);
    return run_on_terminal("chainmail-ask", std::move(arguments), with({{"TERM", "xterm"}}), input);
  }

  temporary_folder folder;
  std::string documents = folder.path("docs");
};

std::vector<rapidjson::Document> json_lines(const std::string& text) {
  std::vector<rapidjson::Document> result;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    result.emplace_back();
    result.back().Parse<rapidjson::kParseValidateEncodingFlag>(line.data(), line.size());
    REQUIRE(result.back().IsObject());
  }
  return result;
}

void wait_for_file(const std::string& path) {
  for (auto until = std::chrono::steady_clock::now() + 20s; !fs::exists(path);) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    std::this_thread::sleep_for(2ms); // another process makes it, and says nothing of it
  }
}

size_t count(const std::string& text, const std::string& part) {
  size_t result = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++result;
  return result;
}

} // namespace

TEST_CASE_METHOD(fixture, "a question is answered from the file that says it, in every type") {
  for (auto* type : {"stuff", "map_reduce", "refine", "map_rerank"}) {
    auto result = ask({"--type="s + type, "--question=How many arches has the bridge of Varn?"});
    INFO(type << ": " << result.said());
    CHECK(result.status == 0);
    CHECK(contains(result.out, "seven arches"));
    CHECK(contains(result.out, "Sources: bridges.md"));
    CHECK_FALSE(contains(result.out, "birds/heron.txt"));
    CHECK(contains(result.err, "simulated"));
  }
}

TEST_CASE_METHOD(fixture, "what no file says is not known, and what was looked at is named") {
  for (auto* type : {"stuff", "map_reduce", "refine", "map_rerank"}) {
    auto result = ask({"--type="s + type, "-q", "Who invented the quantum zeppelin?"});
    INFO(type << ": " << result.said());
    CHECK(result.status == 0);
    CHECK_FALSE(contains(result.out, "Sources:"));
    CHECK(contains(result.out, "Looked at: "));
    CHECK((contains(result.out, "don't know") || contains(result.out, "does not answer")));
  }
}

TEST_CASE_METHOD(fixture, "the project's own documents are asked about themselves") {
  fs::create_directories(documents);
  for (auto* name : {"README.md", "docs"})
    if (fs::exists(fs::path{CHAINMAIL_SOURCE_DIR} / name))
      fs::copy(fs::path{CHAINMAIL_SOURCE_DIR} / name, fs::path{documents} / name,
          fs::copy_options::recursive);
  auto result = ask({"--question=What is sent with cancel_atom_v to abort the transfer?"});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "Sources: README.md"));
}

TEST_CASE_METHOD(fixture, "the index keeps in step with the folder, and reads only what is new") {
  auto eggs = [this] { return ask({"-q", "How many eggs does the heron lay?"}); };
  CHECK(contains(eggs().err, "Index: 3 files, 3 new or changed"));
  auto again = eggs();
  CHECK(contains(again.err, "Index: 3 files, 0 new or changed"));
  CHECK(contains(again.out, "five blue eggs"));

  write("birds/heron.txt", "The heron lays six green eggs.\n");
  auto changed = eggs();
  INFO(changed.said());
  CHECK(contains(changed.err, "Index: 3 files, 1 new or changed"));
  CHECK(contains(changed.out, "six green eggs"));
  CHECK_FALSE(contains(changed.out, "five blue eggs"));
  auto old = ask({"-q", "Which eggs are blue?", "-k", "100"});
  CHECK_FALSE(contains(old.out, "blue"));

  fs::remove(fs::path{documents} / "birds/heron.txt");
  auto gone = eggs();
  CHECK(contains(gone.err, "Index: 2 files, 0 new or changed"));
  CHECK_FALSE(contains(gone.out, "heron"));

  fs::rename(documents, folder.path("away"));
  fs::create_directory(documents);
  CHECK(eggs().status == 1);
  fs::remove(documents);
  fs::rename(folder.path("away"), documents);
  CHECK(contains(eggs().err, "Index: 2 files, 0 new or changed"));

  write("empty.md", "");
  write("latin.txt", "gr\xfc\xdf");
  for (auto i = 0; i < 2; ++i) {
    auto left_out = eggs();
    CHECK(left_out.status == 0);
    CHECK(contains(left_out.err, "Left out: empty.md holds no text\n"));
    CHECK(contains(left_out.err, "Left out: latin.txt is not UTF-8 text\n"));
    CHECK(contains(left_out.err, "Index: 2 files, 0 new or changed"));
  }
}

TEST_CASE_METHOD(fixture, "questions come line by line, and a follow-up uses the conversation") {
  write("birds/stork.txt", "The stork nests in April.\nA stork does lay many eggs: three.\n");
  write("birds/heron.txt", "The heron nests in March.\nThe heron lays its five eggs in a tree.\n");
  CHECK(contains(ask({"-q", "How many eggs does it lay?"}).out, "Sources: birds/stork.txt"));
  auto result = ask({}, "When does the heron nest?\n\n  How many eggs does it lay?");
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "The heron lays its five eggs in a tree."));
  CHECK(contains(result.out, "The heron nests in March."));
  CHECK(count(result.out, "Sources: birds/heron.txt") == 2);
  CHECK_FALSE(contains(result.said(), "> "));
  CHECK_FALSE(contains(result.said(), "\033"));
  CHECK_FALSE(contains(result.said(), "Indexing"));
}

TEST_CASE_METHOD(fixture, "with --json each question is one line, those without an answer, too") {
  auto result = ask({"--json"}, "What grinds the mill at \"Orsk\"?\n" + std::string(100'000, 'a') +
                                    "\nis \xff this\nWho invented the zeppelin?\n");
  INFO(result.said().substr(0, 2'000));
  CHECK(result.status == 1);
  auto lines = json_lines(result.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0]["question"].GetString() == "What grinds the mill at \"Orsk\"?"s);
  CHECK(lines[0]["answer"].GetString() == "The mill at Orsk grinds barley only."s);
  REQUIRE(lines[0]["sources"].Size() == 1);
  CHECK(lines[0]["sources"][0]["file"].GetString() == "mills.md"s);
  CHECK(lines[0]["seconds"].GetDouble() > 0);
  CHECK(lines[0]["simulated"].GetBool());
  CHECK(contains(lines[1]["error"].GetString(), "100000 bytes"));
  CHECK(contains(lines[2]["error"].GetString(), "not UTF-8"));
  CHECK(lines[3]["sources"].Empty());
  CHECK_FALSE(lines[3]["looked_at"].Empty());
  CHECK(count(result.err, "error: ") == 2);
}

TEST_CASE_METHOD(fixture, "what cannot be asked is refused with a sentence") {
  write("file.txt", "text");
  fs::create_directories(folder.path("empty"));
  struct refusal {
    std::string option;
    std::string word;
    int status = 2;
  };
  for (const auto& [option, word, status] :
      std::vector<refusal>{{"--docs=" + folder.path("none"), "there is no folder"},
          {"--docs=" + documents + "/file.txt", "there is no folder"},
          {"--docs=" + folder.path("empty"), "holds no text or Markdown", 1},
          {"--docs=", "--docs= cannot be read (missing argument)"}, {"--type=best", "map_rerank"},
          {"--documents=0", "1000"}, {"--documents=1001", "1000"},
          {"--documents=many", "--documents"}, {"--bogus", "--bogus"}, {"stray", "stray"},
          {"--question= ", "the question is empty"}, {"--question=\xff", "UTF-8"},
          {"--index=/dev/null/x", "/dev/null/x"}}) {
    auto result =
        run_program("chainmail-ask", {"--docs=" + documents, "--question=Why?", option}, with({}));
    INFO(option << ": " << result.said());
    CHECK(result.status == status);
    CHECK(contains(result.err, "error: "));
    CHECK(contains(result.err, word));
    CHECK_FALSE(contains(result.err, "::"));
    CHECK(result.out.empty());
  }
  auto homeless =
      run_program("chainmail-ask", {"--docs=" + documents, "-q", "Why?"}, {{"HOME", ""}});
  CHECK(homeless.status == 2);
  CHECK(contains(homeless.err, "--index"));
  if (geteuid() == 0)
    return; // may read everything
  fs::permissions(documents, fs::perms::none);
  auto unreadable = ask({"-q", "Why?"});
  fs::permissions(documents, fs::perms::all);
  CHECK(unreadable.status == 1);
  CHECK(contains(unreadable.err, "cannot be read"));
}

TEST_CASE_METHOD(fixture, "an index folder is made where one says, for one program at a time") {
  simulator_process simulator{{"--latency=30s"}};
  auto index = folder.path("my/index");
  background_program first{"chainmail-ask", {"--docs=" + documents, "--index=" + index},
      with({{"OPENAI_BASE_URL", simulator.base_url()}})};
  wait_for_file(index + "/documents.sqlite");
  auto refused = ask({"--index=" + index, "-q", "Why?"});
  INFO(refused.said());
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "error: "));
  CHECK(contains(refused.err, "another"));
  CHECK(contains(refused.err, index));
  first.terminate(SIGKILL);
  CHECK(ask({"--index=" + index, "-q", "How many eggs does the heron lay?"}).status == 0);
}

TEST_CASE_METHOD(fixture, "an endpoint that refuses is said in words, with the status 1") {
  auto result = ask({"-q", "Why?"}, {},
      {{"OPENAI_BASE_URL", "http://127.0.0.1:1/v1"}, {"OPENAI_API_KEY", "sk-secret"}});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(contains(result.err, "connection_failed"));
  CHECK(contains(result.err, "http://127.0.0.1:1/v1"));
  CHECK_FALSE(contains(result.said(), "sk-"));
  CHECK(result.out.empty());
}

TEST_CASE_METHOD(
    fixture, "a wrong key to ask with is an authentication error that does not show the key") {
  simulator_process simulator{{"--api-key=sk-right-key"}};
  auto with_key = [&](const std::string& key) {
    return ask({"--json", "-q", "How many eggs does the heron lay?"}, {},
        {{"OPENAI_BASE_URL", simulator.base_url()}, {"OPENAI_API_KEY", key}});
  };
  auto wrong = with_key("sk-wrong-key");
  INFO(wrong.said());
  CHECK(wrong.status == 1);
  CHECK(contains(wrong.err, "authentication"));
  CHECK_FALSE(contains(wrong.said(), "sk-"));
  auto right = with_key("sk-right-key");
  CHECK(right.status == 0);
  CHECK_FALSE(json_lines(right.out).at(0)["simulated"].GetBool());
  auto late = with_key("sk-wrong-key"); // nothing is left to embed but the question
  CHECK(late.status == 1);
  CHECK(contains(late.err, "authentication"));
  CHECK(contains(json_lines(late.out).at(0)["error"].GetString(), "authentication"));
  CHECK_FALSE(contains(late.said(), "sk-"));
}

TEST_CASE_METHOD(
    fixture, "after a kill in the middle of indexing, the next run goes on and answers") {
  write_many(3'000);
  simulator_process simulator{{"--latency=100ms"}};
  auto index = folder.path("index");
  environment endpoint{{"OPENAI_BASE_URL", simulator.base_url()}};
  background_program first{
      "chainmail-ask", {"--docs=" + documents, "--index=" + index}, with(endpoint)};
  wait_for_file(index + "/vectors");
  CHECK(first.terminate(SIGKILL).status == 128 + SIGKILL);
  auto second = ask({"--index=" + index, "-q", "What does drawer number 2750 hold?"}, {}, endpoint);
  INFO(second.said());
  CHECK(second.status == 0);
  CHECK(contains(second.out, "19250 coins"));
  CHECK(contains(second.out, "Sources: many/2750.txt"));
  auto at = second.err.find("files, ");
  REQUIRE(at != std::string::npos);
  auto read_anew = std::stoi(second.err.substr(at + 7));
  CHECK(read_anew > 0);
  CHECK(read_anew < 3'003 - 500);
}

TEST_CASE_METHOD(fixture, "when the endpoint fails half-way, what was indexed stays") {
  write_many(1'000);
  simulator_process simulator{{"--script=ok,ok,500,500"}};
  environment endpoint{{"OPENAI_BASE_URL", simulator.base_url()}};
  auto first = ask({"-q", "What does drawer number 7 hold?", "--llm.attempts=1"}, {}, endpoint);
  INFO(first.said());
  CHECK(first.status == 1);
  CHECK(contains(first.err, "server_error"));
  CHECK(contains(first.err, "511 of 1003 files are in the index, and stay there"));
  auto second = ask({"-q", "What does drawer number 7 hold?"}, {}, endpoint);
  INFO(second.said());
  CHECK(second.status == 0);
  CHECK(contains(second.err, "1003 files, 492 new"));
}

TEST_CASE_METHOD(fixture, "on a terminal a bar shows the indexing, and goes when it is done") {
  write_many(1'500);
  auto result = ask_on_terminal({"-q", "What does drawer number 7 hold?"});
  INFO(result.said());
  CHECK(result.status == 0);
  auto bar = result.out.find("\rIndexing ");
  REQUIRE(bar != std::string::npos);
  CHECK(contains(result.out, "░"));
  CHECK(contains(result.out, "/1503 files"));
  auto wiped = result.out.find("\r\033[K", result.out.rfind("Indexing "));
  REQUIRE(wiped != std::string::npos);
  CHECK(result.out.find("Index: 1503 files", wiped) != std::string::npos);
  CHECK(contains(result.out, "holds 49 coins.\r\n\r\nSources: many/7.txt\r\n"));
}

TEST_CASE_METHOD(fixture, "on a terminal there is a prompt, and Ctrl-D leaves in order") {
  auto result = ask_on_terminal({}, "When does the heron nest?\n\x04");
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "Ctrl-D leaves"));
  CHECK(contains(result.out, "The heron nests in March."));
  CHECK(count(result.out, "> ") == 2);
  CHECK(result.out.ends_with("\r\n"));
  auto interrupted = ask_on_terminal({}, "\x03");
  CHECK(interrupted.status == 128 + SIGINT);
}

} // namespace ask_test
