// chainmail-ask: questions about a folder of documents.
#include "answers.hpp"
#include "corpus.hpp"
#include "indexing.hpp"
#include "preview.hpp"

#include <chainmail/chainmail.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <simulator/simulator.hpp>
#include <terminal/terminal.hpp>
#include <unistd.h>

using namespace chainmail;
using namespace chainmail::asking;
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
  llm_settings llm;

  ask_config() {
    opt_group{custom_options_, "global"}
        .add(docs, "docs", "folder of text and Markdown to ask about (.txt, .text, .md, .markdown)")
        .add(index, "index", "folder of the index (default: one for each --docs in the cache)")
        .add(question, "question,q", "answer this and leave; otherwise questions come line by line")
        .add(type, "type", with_default("stuff, map_reduce, refine or map_rerank", type))
        .add(k, "documents,k", with_default("pieces of documents to answer from", k))
        .add(model, "model", "chat model to ask")
        .add(embedding_model, "embedding-model", with_default("model that embeds", embedding_model))
        .add(json, "json", "answer in JSON, one line a question");
    llm.add_to(custom_options_);
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
  auto home = environment("HOME");
  if (cache.empty() && home.empty())
    throw std::invalid_argument{"HOME is not set, so --index must name a folder for the index"};
  auto base = cache.empty() ? fs::path{home} / ".cache" : fs::path{cache};
  return base / "chainmail" / "indexes" /
         fingerprint_of(fs::canonical(docs).string(), endpoint + '\n' + model);
}

class program {
public:
  program(caf::actor_system& system, const ask_config& config) : config_(config), self_(system) {}

  int run() {
    auto type = parse_qa_type(config_.type);
    if (!type)
      return refuse(
          "--type=" + config_.type + " is none; there are: stuff, map_reduce, refine, map_rerank");
    if (config_.docs.empty())
      return refuse("--docs names the folder to ask about");
    if (std::error_code failed; !fs::is_directory(config_.docs, failed))
      return refuse("there is no folder '" + config_.docs + "'");
    if (config_.k == 0 || config_.k > 1'000)
      return refuse("--documents must be between 1 and 1000");
    if (!config_.question.empty())
      if (auto error = check_question(config_.question))
        return refuse(sentence_of(error));
    connect();
    if (!update())
      return 1;
    chain_ = spawn_chain(*type);
    return config_.question.empty() ? converse() : (answer(config_.question) ? 0 : 1);
  }

private:
  // -- set-up -----------------------------------------------------------------------

  void connect() {
    llm_config llm;
    auto& endpoint = llm.endpoint;
    auto is_simulated = !config_.llm.has_endpoint();
    // Anthropic has no embeddings: those come from OpenAI's endpoint then, if there is one.
    auto embeddings = config_.llm;
    if (std::exchange(embeddings.api, {}) == "anthropic")
      embeddings.base_url.clear();
    auto embeds_simulated = !embeddings.has_endpoint();
    if (is_simulated || embeds_simulated)
      simulator_ = std::make_unique<simulator::server>(simulator::options{});
    if (embeds_simulated)
      endpoint.base_url = simulator_->base_url();
    endpoint.api = openai_api::chat;
    endpoint.defaults.temperature = 0;
    if (!config_.model.empty())
      endpoint.defaults.model = config_.model;
    if (auto error = config_.llm.apply_to(llm))
      throw std::invalid_argument{sentence_of(error)};
    if (is_simulated && llm.anthropic) {
      llm.anthropic->base_url = simulator_->base_url();
      llm.anthropic->key = {};
    }
    auto where = embeds_simulated ? "simulated" : endpoint.base_url;
    say("Endpoint: " + (llm.anthropic ? llm.anthropic->base_url : endpoint.base_url) +
        (is_simulated ? " (simulated: no model is asked; answers are sentences of the documents)"
            : embeds_simulated ? " (embeddings are simulated: there is no OPENAI_API_KEY)"
                               : ""));
    auto& system = self_->system();
    auto http = spawn_http(system);
    llm_ = spawn_llm(system, http, llm);
    embedder_options embedding;
    embedding.model = config_.embedding_model;
    embedding.retry = llm.retry;
    embedder_ = spawn_openai_embedder(system, http, endpoint, embedding);
    index_options options;
    options.folder = config_.index.empty()
                         ? usual_index(config_.docs, where, embedding.model).string()
                         : config_.index;
    if (std::error_code failed; !fs::create_directories(options.folder, failed) && failed)
      throw std::runtime_error{
          "the index folder " + options.folder + " cannot be made: " + failed.message()};
    index_ = spawn_vector_index(system, options);
  }

  bool update() {
    index_progress last;
    auto report =
        update_index(self_, embedder_, index_, config_.docs, [&](const index_progress& progress) {
          last = progress;
          show_progress(progress);
        });
    wipe_line();
    if (!report) {
      std::cerr << red("error: ", style_) << describe(report.error()) << '\n';
      if (last.pieces > 0)
        std::cerr << "       " << last.files << " of " << last.all_files
                  << " files are in the index, and stay there: the next run goes on from here\n";
      return false;
    }
    constexpr size_t most_complaints = 5;
    for (size_t i = 0; i < std::min(report->complaints.size(), most_complaints); ++i)
      std::cerr << "Left out: " << report->complaints[i] << '\n';
    if (report->complaints.size() > most_complaints)
      std::cerr << "Left out: " << report->complaints.size() - most_complaints << " more\n";
    if (report->files == 0) {
      std::cerr << "error: '" << config_.docs
                << "' holds no text or Markdown (.md, .markdown, .txt, .text)\n";
      return false;
    }
    say("Index: " + std::to_string(report->files) + (report->files == 1 ? " file, " : " files, ") +
        std::to_string(report->added) + " new or changed");
    return true;
  }

  /// On a terminal only: a log is no place for a line that is written over.
  void show_progress(const index_progress& progress) {
    auto now = std::chrono::steady_clock::now();
    if (!style_.is_terminal || progress.all_files == 0 || now < next_show_)
      return;
    next_show_ = now + std::chrono::milliseconds{50};
    auto share = static_cast<double>(progress.files) / static_cast<double>(progress.all_files);
    auto width = std::clamp<size_t>(style_.columns, 50, 75) - 45; // the figures take 45 at most
    std::cerr << "\rIndexing " << draw_progress(share, width, style_) << ' ' << progress.files
              << '/' << progress.all_files << " files, " << progress.pieces << " pieces\033[K"
              << std::flush;
  }

  /// Whatever is on the line that is written over.
  void wipe_line() const {
    if (style_.is_terminal)
      std::cerr << "\r\033[K" << std::flush;
  }

  chain_actor spawn_chain(qa_type type) {
    auto& system = self_->system();
    chat_vector_db_options options;
    auto llm = llm_;
    if (style_.can_go_back) {
      preview_ = std::make_shared<preview>(style_);
      llm = spawn_previewed(system, llm_, preview_);
    }
    options.documents_chain = spawn_qa_with_sources_chain(system, llm, type);
    options.k = static_cast<uint32_t>(config_.k);
    options.memory = spawn_window_memory(system); // however long one asks, a prompt stays short
    options.return_source_documents = true;
    return spawn_chat_vector_db_chain(
        system, llm_, spawn_retriever(system, embedder_, index_), std::move(options));
  }

  // -- asking -----------------------------------------------------------------------

  int converse() {
    auto ok = true;
    std::string line;
    if (isatty(STDIN_FILENO) == 1)
      say("Ask, a question a line; Ctrl-D leaves.");
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
    if (auto error = check_question(question))
      return fail(question, error);
    auto begin = std::chrono::steady_clock::now();
    if (style_.is_terminal)
      std::cerr << dim("Asking ...", style_) << std::flush;
    if (preview_)
      preview_->begin();
    auto outputs = call(self_, chain_, {{"question", question}});
    if (preview_)
      preview_->end();
    wipe_line();
    if (!outputs)
      return fail(question, outputs.error());
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    auto found = read_answer(question, *outputs, took.count());
    std::cout << (config_.json ? to_json(found, simulator_ != nullptr) : show(found)) << std::endl;
    return true;
  }

  bool fail(const std::string& question, const caf::error& why) const {
    std::cerr << red("error: ", style_) << describe(why) << '\n';
    if (config_.json)
      std::cout << to_json(question, why) << std::endl;
    return false;
  }

  /// About the work, not of it: answers go to standard output alone.
  void say(const std::string& sentence) const { std::cerr << dim(sentence, style_) << '\n'; }

  const ask_config& config_;
  terminal_style style_ = detect_style(STDERR_FILENO);
  std::chrono::steady_clock::time_point next_show_{};
  std::unique_ptr<simulator::server> simulator_;
  caf::scoped_actor self_;
  llm_actor llm_;
  std::shared_ptr<preview> preview_; ///< on a terminal
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
