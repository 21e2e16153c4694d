// chainmail-ask: questions about a folder of documents.
#include "answers.hpp"
#include "corpus.hpp"
#include "indexing.hpp"

#include <chainmail/chainmail.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <simulator/simulator.hpp>
#include <terminal/terminal.hpp>
#include <unistd.h>

using namespace chainmail;
using namespace chainmail::ask;
using namespace chainmail::terminal;

namespace fs = std::filesystem;

namespace {

struct ask_config : caf::actor_system_config {
  std::string docs;
  std::string index;
  std::string question;
  std::string type = "stuff";
  std::string model;
  std::string embedding_model = embedder_options{}.model;
  size_t k = 4;
  bool json = false;

  ask_config() {
    opt_group{custom_options_, "global"}
        .add(docs, "docs", "folder of text and Markdown to ask about")
        .add(index, "index", "folder of the index (default: one for each --docs in the cache)")
        .add(question, "question,q", "answer this and leave; otherwise questions come line by line")
        .add(type, "type", "stuff (default), map_reduce, refine or map_rerank")
        .add(k, "documents,k", "pieces of documents to answer from (default: 4)")
        .add(model, "model", "chat model to ask")
        .add(embedding_model, "embedding-model", "model that embeds")
        .add(json, "json", "answer in JSON, one line a question");
  }
};

std::string environment(const char* name) {
  auto* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? std::string{} : std::string{text};
}

int refuse(const std::string& sentence) {
  std::cerr << "error: " << sentence << "\n       --help lists the options\n";
  return 2;
}

/// The same folder, endpoint and model always have the same index, and different ones never do.
fs::path usual_index(const fs::path& docs, const std::string& endpoint, const std::string& model) {
  auto cache = environment("XDG_CACHE_HOME");
  auto base = cache.empty() ? fs::path{environment("HOME")} / ".cache" : fs::path{cache};
  return base / "chainmail" / "indexes" /
         fingerprint_of(fs::canonical(docs).string(), endpoint + '\n' + model);
}

class program {
public:
  program(caf::actor_system& system, const ask_config& config)
    : config_(config), self_(system), endpoint_(openai_options::from_environment()) {}

  int run() {
    auto type = parse_qa_type(config_.type);
    if (!type)
      return refuse(
          "--type=" + config_.type + " is none; there are: stuff, map_reduce, refine, map_rerank");
    if (config_.docs.empty())
      return refuse("--docs names the folder to ask about");
    if (!fs::is_directory(config_.docs))
      return refuse("there is no folder '" + config_.docs + "'");
    if (config_.k == 0 || config_.k > 1'000)
      return refuse("--documents must be between 1 and 1000");
    connect();
    if (!update())
      return 1;
    chain_ = spawn_chain(*type);
    return config_.question.empty() ? converse() : (answer(config_.question) ? 0 : 1);
  }

private:
  // -- set-up -----------------------------------------------------------------------

  void connect() {
    std::string where = endpoint_.base_url;
    if (environment("OPENAI_API_KEY").empty() && environment("OPENAI_BASE_URL").empty()) {
      simulator_ = std::make_unique<simulator::server>(simulator::options{});
      endpoint_.base_url = simulator_->base_url();
      where = "simulated";
    }
    if (auto error = check(endpoint_))
      throw std::invalid_argument{sentence_of(error)};
    endpoint_.api = openai_api::chat;
    endpoint_.defaults.temperature = 0;
    if (!config_.model.empty())
      endpoint_.defaults.model = config_.model;
    say("Endpoint: " + endpoint_.base_url +
        (simulator_ ? " (simulated: no model is asked; answers are sentences of the documents)"
                    : ""));
    auto& system = self_->system();
    auto http = spawn_http(system);
    llm_ = spawn_openai_client(system, http, endpoint_);
    embedder_options embedding;
    embedding.model = config_.embedding_model;
    embedder_ = spawn_openai_embedder(system, http, endpoint_, embedding);
    index_options options;
    options.folder = config_.index.empty()
                         ? usual_index(config_.docs, where, embedding.model).string()
                         : config_.index;
    fs::create_directories(fs::path{options.folder}.parent_path());
    index_ = spawn_vector_index(system, options);
  }

  bool update() {
    auto shown = false;
    auto report = update_index(self_, embedder_, index_, config_.docs,
        [&](const index_progress& progress) { shown = show_progress(progress) || shown; });
    if (shown)
      std::cerr << "\r\033[K";
    if (!report) {
      std::cerr << "error: " << describe(report.error()) << '\n';
      return false;
    }
    for (const auto& complaint : report->complaints)
      std::cerr << "left out: " << complaint << '\n';
    if (report->files == 0) {
      std::cerr << "error: '" << config_.docs
                << "' holds no text or Markdown (.md, .markdown, .txt, .text)\n";
      return false;
    }
    say("Index: " + std::to_string(report->files) + " files, " + std::to_string(report->added) +
        " of them read anew, " + std::to_string(report->removed) + " dropped");
    return true;
  }

  /// On a terminal only: a log is no place for a line that is written over.
  bool show_progress(const index_progress& progress) const {
    if (!style_.is_terminal || progress.all_files == 0)
      return false;
    auto share = static_cast<double>(progress.files) / static_cast<double>(progress.all_files);
    std::cerr << "\rIndexing " << draw_progress(share, 30, style_) << ' ' << progress.files << '/'
              << progress.all_files << " files, " << progress.pieces << " pieces\033[K"
              << std::flush;
    return true;
  }

  chain_actor spawn_chain(qa_type type) {
    auto& system = self_->system();
    chat_vector_db_options options;
    options.documents_chain = spawn_qa_with_sources_chain(system, llm_, type);
    options.k = static_cast<uint32_t>(config_.k);
    options.memory = spawn_buffer_memory(system);
    options.return_source_documents = true;
    return spawn_chat_vector_db_chain(
        system, llm_, spawn_retriever(system, embedder_, index_), std::move(options));
  }

  // -- asking -----------------------------------------------------------------------

  int converse() {
    auto ok = true;
    std::string line;
    while (prompt(), std::getline(std::cin, line))
      if (!trimmed(line).empty())
        ok = answer(std::string{trimmed(line)}) && ok;
    if (isatty(STDIN_FILENO) == 1)
      std::cerr << '\n';
    return ok ? 0 : 1;
  }

  void prompt() const {
    if (isatty(STDIN_FILENO) == 1)
      std::cerr << bold("> ", style_) << std::flush;
  }

  bool answer(const std::string& question) {
    auto begin = std::chrono::steady_clock::now();
    auto outputs = call(self_, chain_, {{"question", question}});
    if (!outputs) {
      std::cerr << red("error: ", style_) << describe(outputs.error()) << '\n';
      return false;
    }
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    auto found = read_answer(question, *outputs, took.count());
    std::cout << (config_.json ? to_json(found, simulator_ != nullptr) : show(found)) << std::endl;
    return true;
  }

  /// About the work, not of it: answers go to standard output alone.
  void say(const std::string& sentence) const { std::cerr << dim(sentence, style_) << '\n'; }

  const ask_config& config_;
  terminal_style style_ = detect_style(STDERR_FILENO);
  std::unique_ptr<simulator::server> simulator_;
  caf::scoped_actor self_;
  openai_options endpoint_;
  llm_actor llm_;
  embedder_actor embedder_;
  vector_index_actor index_;
  chain_actor chain_;
};

} // namespace

int main(int argc, char** argv) {
  try {
    return run_main<ask_config>(
        {argv + 1, argv + argc}, [](caf::actor_system& system, const ask_config& config) {
          return program{system, config}.run();
        });
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
