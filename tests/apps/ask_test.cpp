// The parts of chainmail-ask: folders of documents, and what is shown of an answer.
#include "support/temporary_folder.hpp"

#include <chainmail/errors.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

#include <ask/answers.hpp>
#include <ask/corpus.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace ask_test {

using namespace chainmail;
using namespace chainmail::asking;
using namespace chainmail::test;

namespace fs = std::filesystem;

namespace {

using names = std::vector<std::string>;

/// A folder of files that goes with the object.
class files {
  temporary_folder folder_;

public:
  void write(const std::string& name, const std::string& text = "text") const {
    fs::create_directories((path / name).parent_path());
    std::ofstream{path / name, std::ios::binary} << text;
  }

  [[nodiscard]] names listed() const {
    auto found = list_folder(path);
    REQUIRE(found);
    return found->names;
  }

  [[nodiscard]] std::string refusal(const std::string& name) const {
    auto found = read_source(path, name);
    REQUIRE_FALSE(found);
    CHECK(found.error() == errc::invalid_input);
    return sentence_of(found.error());
  }

  fs::path path = folder_.path();
};

/// Permissions do not hold root up, so it is somebody else for a while.
class unprivileged {
public:
  unprivileged() {
    if (was_root_)
      REQUIRE(seteuid(65534) == 0);
  }
  unprivileged(const unprivileged&) = delete;
  unprivileged& operator=(const unprivileged&) = delete;
  ~unprivileged() {
    if (was_root_ && seteuid(0) != 0)
      std::abort();
  }

private:
  bool was_root_ = geteuid() == 0;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

document piece(const std::string& source, const std::string& text) {
  return {text, {{"source", source}, {"fingerprint", "0"}}};
}

answer answered(const std::string& text, const std::string& sources, std::vector<document> given) {
  values outputs;
  outputs.emplace("answer", text);
  outputs.emplace("sources", sources);
  outputs.emplace("source_documents", std::move(given));
  return read_answer("why?", outputs, 0.5);
}

names sources_of(const std::vector<document>& pieces) {
  names result;
  for (const auto& each : pieces)
    result.push_back(each.metadata.at("source"));
  return result;
}

rapidjson::Document parsed(const std::string& text) {
  CHECK_FALSE(contains(text, "\n"));
  rapidjson::Document result;
  result.Parse<rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
  REQUIRE(result.IsObject());
  return result;
}

} // namespace

// -- folders --------------------------------------------------------------------------------

TEST_CASE("a folder's text and Markdown are listed by name, with the folders below") {
  files folder;
  for (auto* name : {"z.md", "a.txt", "sub/deep/b.markdown", "sub/c.text", "B.md"})
    folder.write(name);
  for (auto* name :
      {"a.cpp", "md", "txt", "picture.png", "notes.md.bak", "CMakeLists.txt", "sub/CMakeLists.txt"})
    folder.write(name);
  CHECK(folder.listed() == names{"B.md", "a.txt", "sub/c.text", "sub/deep/b.markdown", "z.md"});
}

TEST_CASE("hidden files and what is in hidden folders are not listed, unless one asks for them") {
  files folder;
  for (auto* name : {".secret.md", ".git/notes.md", "sub/.cache/deep/a.txt", ".md", "seen.md"})
    folder.write(name);
  CHECK(folder.listed() == names{"seen.md"});
  auto asked_for = list_folder(folder.path / ".git");
  REQUIRE(asked_for);
  CHECK(asked_for->names == names{"notes.md"});
}

TEST_CASE("links to files are read, links to folders and to nothing are not followed") {
  files folder;
  folder.write("real.txt");
  folder.write("sub/a.txt");
  fs::create_symlink("real.txt", folder.path / "link.txt");
  fs::create_symlink("nowhere", folder.path / "broken.txt");
  fs::create_directory_symlink("..", folder.path / "sub/up");
  fs::create_symlink("loop.txt", folder.path / "loop.txt");
  fs::create_directories(folder.path / "folder.txt");
  CHECK(folder.listed() == names{"link.txt", "real.txt", "sub/a.txt"});
}

TEST_CASE("names are the same however the folder is written") {
  files folder;
  folder.write("sub/a.txt");
  for (const auto& path : {folder.path / "", folder.path / ".", folder.path / "sub" / ".."}) {
    INFO(path);
    auto found = list_folder(path);
    REQUIRE(found);
    CHECK(found->names == names{"sub/a.txt"});
  }
}

TEST_CASE("odd names are listed, and those that cannot be cited are left out with a reason") {
  files folder;
  for (auto* name : {"a, b.txt", " blank .md", "größe.txt", "\"quoted\".md", "-q.txt", "$(x).md"})
    folder.write(name);
  folder.write("two\nlines.md");
  folder.write("bell\a.md");
  folder.write("latin\xfc.md");
  auto found = list_folder(folder.path);
  REQUIRE(found);
  CHECK(found->names ==
        names{" blank .md", "\"quoted\".md", "$(x).md", "-q.txt", "a, b.txt", "größe.txt"});
  REQUIRE(found->complaints.size() == 3);
  for (const auto& complaint : found->complaints) {
    CHECK(contains(complaint, "has a name that"));
    CHECK_FALSE(contains(complaint, "\n"));
    CHECK_FALSE(contains(complaint, "\a"));
    CHECK_FALSE(contains(complaint, "\xfc"));
  }
}

TEST_CASE("a folder that is missing, a file or unreadable is an error; below it, a complaint") {
  files folder;
  folder.write("file.txt");
  folder.write("sub/a.txt");
  for (auto* name : {"missing", "file.txt", "file.txt/below"}) {
    auto found = list_folder(folder.path / name);
    REQUIRE_FALSE(found);
    CHECK(found.error() == errc::invalid_input);
    CHECK(contains(sentence_of(found.error()), name));
  }
  fs::permissions(folder.path, fs::perms::all);
  fs::permissions(folder.path / "sub", fs::perms::none);
  {
    unprivileged user;
    auto found = list_folder(folder.path);
    REQUIRE(found);
    CHECK(found->names == names{"file.txt"});
    CHECK(found->complaints == names{"sub cannot be read: Permission denied"});
    auto refused = list_folder(folder.path / "sub");
    REQUIRE_FALSE(refused);
    CHECK(contains(sentence_of(refused.error()), "cannot be read: Permission denied"));
  }
  fs::permissions(folder.path / "sub", fs::perms::all);
}

// -- files ----------------------------------------------------------------------------------

TEST_CASE("a file is read as it is, and its fingerprint changes with content and name") {
  files folder;
  folder.write("a.txt", "ü\r\n");
  auto first = read_source(folder.path, "a.txt");
  REQUIRE(first);
  CHECK(first->name == "a.txt");
  CHECK(first->text == "ü\r\n");
  CHECK(first->fingerprint.size() == 32);
  CHECK(first->fingerprint == fingerprint_of("a.txt", first->text));
  folder.write("b.txt", first->text);
  CHECK(read_source(folder.path, "b.txt")->fingerprint != first->fingerprint);
  folder.write("a.txt", "other");
  CHECK(read_source(folder.path, "a.txt")->fingerprint != first->fingerprint);
  folder.write("a.txt", "ü\r\n");
  CHECK(read_source(folder.path, "a.txt")->fingerprint == first->fingerprint);
  // The first half of SHA-256 of "abc\n".
  CHECK(fingerprint_of("abc", "") == "edeaaff3f1774ad2888673770c6d6409");
}

TEST_CASE("an empty file has no pieces, and a file of zeros is text") {
  files folder;
  folder.write("empty.txt", "");
  folder.write("blank.md", " \n\n\t\n");
  folder.write("zeros.txt", std::string(3, '\0'));
  for (auto* name : {"empty.txt", "blank.md"}) {
    auto found = read_source(folder.path, name);
    REQUIRE(found);
    CHECK(split_source(*found).empty());
  }
  CHECK(read_source(folder.path, "zeros.txt")->text == std::string(3, '\0'));
}

TEST_CASE("a file that is gone, unreadable, too large or not UTF-8 is refused with its name") {
  files folder;
  CHECK(folder.refusal("gone.txt") == "gone.txt cannot be read: No such file or directory");
  folder.write("latin.txt", "gr\xfc\xdf");
  CHECK(folder.refusal("latin.txt") == "latin.txt is not UTF-8 text");
  folder.write("most.txt");
  fs::resize_file(folder.path / "most.txt", 16U << 20U);
  CHECK(read_source(folder.path, "most.txt"));
  fs::resize_file(folder.path / "most.txt", (16U << 20U) + 1);
  CHECK(folder.refusal("most.txt") == "most.txt is larger than 16 MiB");
  fs::create_directory(folder.path / "folder.txt");
  CHECK(contains(folder.refusal("folder.txt"), "folder.txt cannot be read"));
  folder.write("secret.txt");
  fs::permissions(folder.path, fs::perms::all);
  fs::permissions(folder.path / "secret.txt", fs::perms::none);
  unprivileged user;
  CHECK(folder.refusal("secret.txt") == "secret.txt cannot be read: Permission denied");
}

TEST_CASE("pieces know their file, its fingerprint and the heading that they stand below") {
  auto text = "# Guide\n\n" + std::string(900, 'a') + "\n\n## Limits\n\nTen.\n";
  auto pieces = split_source({"docs/guide.md", text, "f00d"});
  REQUIRE(pieces.size() == 2);
  for (const auto& each : pieces) {
    CHECK(each.metadata.at("source") == "docs/guide.md");
    CHECK(each.metadata.at("fingerprint") == "f00d");
    CHECK(each.content.size() <= 1'000);
  }
  CHECK(pieces[0].metadata.at("heading") == "Guide");
  CHECK(pieces[1].metadata.at("heading") == "Guide > Limits");
  CHECK(place_of(pieces[1]) == "docs/guide.md (Guide > Limits)");
  auto plain = split_source({"guide.txt", text, "f00d"});
  REQUIRE_FALSE(plain.empty());
  CHECK_FALSE(plain[0].metadata.contains("heading"));
  CHECK(place_of(plain[0]) == "guide.txt");
  CHECK(place_of({"text", {}}) == "?");
}

// -- answers --------------------------------------------------------------------------------

TEST_CASE("what the model names is the source, and the rest was only looked at") {
  auto found = answered(
      " It is red. \n", "b.md", {piece("a.md", "blue"), piece("b.md", "I say: It is red. Yes.")});
  CHECK(found.question == "why?");
  CHECK(found.text == "It is red.");
  CHECK(found.seconds == 0.5);
  CHECK(sources_of(found.sources) == names{"b.md"});
  CHECK(contains(found.sources[0].content, "It is red."));
  CHECK(sources_of(found.looked_at) == names{"a.md"});
}

TEST_CASE("of several pieces of a file, the one that holds the answer is its place") {
  auto other = piece("a.md", "It is blue.");
  other.metadata["heading"] = "Blue";
  auto right = piece("a.md", "It is red.");
  right.metadata["heading"] = "Red";
  CHECK(show(answered("It is red.", "a.md", {other, right})) ==
        "It is red.\n\nSources: a.md (Red)\n");
  CHECK(show(answered("Neither.", "a.md", {other, right})) == "Neither.\n\nSources: a.md\n");
  CHECK(show(answered("", "a.md", {other, right})) == "\n\nSources: a.md\n");
}

TEST_CASE("an answer is found in its piece however the lines are broken") {
  values outputs = {{"answer", "Two lines make one sentence."}, {"sources", "a.md"},
      {"source_documents",
          std::vector<document>{{"Other.", {{"source", "a.md"}, {"heading", "First"}}},
              {"Two lines\n  make one\nsentence.", {{"source", "a.md"}, {"heading", "Second"}}}}}};
  auto found = read_answer("?", outputs, 0);
  REQUIRE(found.sources.size() == 1);
  CHECK(place_of(found.sources[0]) == "a.md (Second)");
}

TEST_CASE("sources are found in the model's list however it is written") {
  std::vector<document> given{piece("a.md", "1"), piece("docs/a.md", "2"), piece("a, b.txt", "3"),
      piece("b.txt", "4"), piece("größe.txt", "5")};
  auto named = [&](const std::string& list) {
    return sources_of(answered("x", list, given).sources);
  };
  CHECK(named("docs/a.md") == names{"docs/a.md"});
  CHECK(named("b.txt, a.md") == names{"b.txt", "a.md"});
  CHECK(named("- größe.txt\n- a.md.") == names{"größe.txt", "a.md"});
  CHECK(named("a, b.txt") == names{"a, b.txt"});
  CHECK(named("a, b.txt,b.txt") == names{"a, b.txt", "b.txt"});
  CHECK(named("a.md (Install > Linux), a.md") == names{"a.md"});
  CHECK(named("unknown.md, bb.txt, a.mdx, a.md.bak") == names{});
  CHECK(named("other/a.md") == names{});
  CHECK(named("") == names{});
}

TEST_CASE("an answer without sources shows what was looked at, each place once") {
  auto found =
      answered("I don't know.", "", {piece("b.md", "1"), piece("a.md", "2"), piece("b.md", "3")});
  CHECK(found.sources.empty());
  CHECK(show(found) == "I don't know.\n\nLooked at: b.md\n           a.md\n");
  CHECK(show(answered("I don't know.", "a.md", {})) == "I don't know.\n\n");
  CHECK(show(read_answer("q", {}, 0)) == "\n\n");
}

TEST_CASE("what is shown holds no control characters but newlines") {
  auto odd = piece("a.md", "x");
  odd.metadata["heading"] = "red\033[31m\nhot";
  auto text = show(answered("a\033[2Jb\x7f\r\n\tc\xc2\x9b"
                            "31mü\xff",
      "a.md (x)", {odd}));
  CHECK(text == "a[2Jb\n c31mü\uFFFD\n\nSources: a.md\n");
  auto place = show(answered("", "", {odd}));
  CHECK(contains(place, "hot"));
  CHECK_FALSE(contains(place, "\033"));
  CHECK(std::count(place.begin(), place.end(), '\n') == 3);
}

TEST_CASE("an answer in JSON is one valid line, whatever it holds") {
  auto given = piece("a \"b\"\\.md", "x");
  given.metadata["heading"] = "Größe";
  auto found = answered("\"quoted\"\n\\ \x01 ü \xff", "", {given, piece("c.md", "y")});
  found.question = "wh\"at\xc3?";
  auto json = parsed(to_json(found, true));
  CHECK(json["question"].GetString() == std::string{"wh\"at\uFFFD?"});
  CHECK(json["answer"].GetString() == std::string{"\"quoted\"\n\\ \x01 ü \uFFFD"});
  CHECK(json["sources"].Empty());
  REQUIRE(json["looked_at"].Size() == 2);
  CHECK(json["looked_at"][0]["file"].GetString() == std::string{"a \"b\"\\.md"});
  CHECK(json["looked_at"][0]["heading"].GetString() == std::string{"Größe"});
  CHECK_FALSE(json["looked_at"][1].HasMember("heading"));
  CHECK(json["seconds"].GetDouble() == 0.5);
  CHECK(json["simulated"].GetBool());
  CHECK_FALSE(parsed(to_json(found, false))["simulated"].GetBool());
}

TEST_CASE("a question without an answer is a line of JSON, too") {
  auto json = parsed(to_json("a\xff\"", make_failure(errc::timed_out, "too \"late\"")));
  CHECK(json["question"].GetString() == std::string{"a\uFFFD\""});
  CHECK(contains(json["error"].GetString(), "too \"late\""));
  CHECK_FALSE(json.HasMember("answer"));
}

TEST_CASE("questions that cannot be asked are refused with a reason") {
  CHECK_FALSE(check_question("Why?"));
  CHECK_FALSE(check_question(std::string(20'000, 'a')));
  CHECK(contains(sentence_of(check_question(std::string(20'001, 'a'))), "20001 bytes"));
  CHECK(contains(sentence_of(check_question("")), "empty"));
  CHECK(contains(sentence_of(check_question(" \t ")), "empty"));
  CHECK(contains(sentence_of(check_question("a\xff")), "UTF-8"));
}

} // namespace ask_test
