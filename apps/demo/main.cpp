// chainmail-demo: five names at once, five names one after another, and the difference.
#include "cluster_demo.hpp"
#include "demo.hpp"
#include "live_lines.hpp"
#include "timeline.hpp"
#include "waterfall.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <simulator/simulator.hpp>
#include <unistd.h>

using namespace chainmail;
using namespace chainmail::demo;
using namespace chainmail::terminal;
using namespace std::literals;

namespace {

/// Of the simulated endpoint: what the page measured.
constexpr auto latency = 1280ms;

constexpr auto page_prompt = "What is a good name for a company that makes {product}?";

/// Streams are worth watching when there is more to say than a name.
constexpr auto stream_prompt = "Write a pitch of two sentences for a company that makes {product}.";
constexpr auto stream_latency = 500ms;
constexpr double stream_rate = 25;

constexpr auto usual = std::numeric_limits<size_t>::max();

struct demo_config : caf::actor_system_config {
  size_t count = usual;
  size_t nodes = 0;
  std::string prompt;
  std::string model;
  bool chat = false;
  bool stream = false;
  std::string timeline;
  std::string json;
  llm_settings llm;

  demo_config() {
    opt_group{custom_options_, "global"}
        .add(count, "count", "how many calls a run makes (default: 5; 30 with --nodes)")
        .add(nodes, "nodes",
            "start so many worker nodes, at most 9, and kill one of them (default: none)")
        .add(prompt, "prompt",
            with_default("template of the prompt, with its variables in braces", page_prompt))
        .add<std::string>("input", "NAME=TEXT of a variable; may be given several times")
        .add(model, "model", "model to ask")
        .add(chat, "chat", "use the chat interface")
        .add(stream, "stream", "show texts as they come; asks for pitches unless there is a prompt")
        .add(timeline, "timeline", "draw the calls into this .svg or .html file")
        .add(json, "json", "write the figures of both runs to this file");
    llm.add_to(custom_options_);
  }
};

/// With CAF's middleman, which the plain demo has no use for.
struct cluster_demo_config : demo_config {
  cluster_demo_config() { load_cluster(*this); }
};

int refuse(const std::string& sentence) {
  std::cerr << "error: " << sentence << "\n       --help lists the options\n";
  return 2;
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file{path, std::ios::binary};
  file << text;
  file.close();
  if (file)
    return true;
  std::cerr << "error: " << path << " cannot be written\n";
  return false;
}

class program {
public:
  program(caf::actor_system& system, const demo_config& config, values inputs)
    : system_(system), config_(config), inputs_(std::move(inputs)) {
    count_ = config.count != usual ? config.count : config.nodes > 0 ? 30 : 5;
  }

  int run() {
    auto prompt = prompt_template::parse(prompt_text());
    if (!prompt)
      return refuse(sentence_of(prompt.error()));
    if (inputs_.empty() && prompt->input_variables() == std::vector{"product"s})
      inputs_.emplace("product", "toothpaste");
    if (auto text = prompt->format(inputs_); !text)
      return refuse(sentence_of(text.error()) + " (--input=NAME=TEXT sets one)");
    if (count_ == 0 || count_ > 100'000)
      return refuse("--count must be between 1 and 100000");
    if (config_.stream && config_.nodes > 0)
      return refuse("--stream and --nodes do not go together: leave one out");
    if (config_.nodes > 9)
      return refuse("--nodes must be between 1 and 9");
    if (config_.nodes > 0 && config_.llm.api == "anthropic")
      return refuse("--nodes asks by OpenAI's API only");
    if (!config_.timeline.empty() && !config_.timeline.ends_with(".svg") &&
        !config_.timeline.ends_with(".html"))
      return refuse("--timeline takes a file that ends in .svg or .html");
    if (config_.nodes > 0)
      return spread();
    connect(std::move(*prompt));
    return compare();
  }

private:
  std::string prompt_text() const {
    if (!config_.prompt.empty())
      return config_.prompt;
    return config_.stream ? stream_prompt : page_prompt;
  }

  /// Of the environment and the options, or of a simulator.
  openai_options find_endpoint() {
    auto result = openai_options::from_environment();
    if (!config_.llm.has_endpoint()) {
      simulator::options simulated;
      simulated.latency = config_.stream ? stream_latency : latency;
      if (config_.stream) {
        simulated.sigma = 0.4;
        simulated.token_rate = stream_rate;
        simulated.token_jitter = 0.5;
      }
      simulated.seed = std::random_device{}();
      simulator_ = std::make_unique<simulator::server>(simulated);
      result.base_url = simulator_->base_url();
    }
    return result;
  }

  void name_endpoint(const std::string& base_url) {
    auto pace = config_.stream ? "25 tokens a second" : "every call takes 1.28 s";
    where_ = base_url + (simulator_ ? " (simulated: no model is asked, "s + pace + ")" : "");
    std::cout << dim("Endpoint: " + where_, style_) << "\n\n" << std::flush;
  }

  int spread() {
    cluster_plan plan;
    plan.nodes = config_.nodes;
    plan.calls = count_;
    plan.base_url = config_.llm.base_url.empty() ? find_endpoint().base_url : config_.llm.base_url;
    plan.model = config_.model.empty() ? config_.llm.model : config_.model;
    plan.chat = config_.chat;
    plan.prompt = prompt_text();
    plan.inputs = inputs_;
    plan.kill_after = latency / 3;
    name_endpoint(plan.base_url);
    auto run = run_cluster(system_, plan, [](const node_call& call) {
      std::cout << call.node << "  " << call.label << (call.was_moved ? "  (taken over)" : "")
                << std::endl;
    });
    if (!run.error.empty())
      std::cout << red("failed: " + run.error, style_) << "\n";
    std::cout << "\n" << bold(demo::sentence_of(run), style_) << "\n\n" << table_of(run) << "\n";
    auto groups = to_bars(run);
    std::cout << draw_waterfall(groups, style_) << std::flush;
    auto title = std::to_string(run.asked) + " calls over " + std::to_string(run.nodes.size()) +
                 " nodes: " + show_seconds(run.seconds);
    auto ok = write_timeline(title, groups);
    if (!config_.json.empty())
      ok = write_file(config_.json, to_json(run) + "\n") && ok;
    return ok && run.answered == run.asked ? 0 : 1;
  }

  void connect(prompt_template prompt) {
    llm_config config;
    auto& endpoint = config.endpoint;
    endpoint = find_endpoint();
    endpoint.api = config_.chat ? openai_api::chat : openai_api::completions;
    endpoint.defaults.temperature = 0.9;
    if (!config_.model.empty())
      endpoint.defaults.model = config_.model;
    if (auto error = config_.llm.apply_to(config))
      throw std::invalid_argument{sentence_of(error)};
    if (simulator_ && config.anthropic) {
      config.anthropic->base_url = simulator_->base_url();
      config.anthropic->key = {};
    }
    http_options http;
    http.max_queued = std::max(http.max_queued, count_);
    http.max_call_time = 60s;
    if (simulator_) // its end of each connection is a file of this process, too
      http.max_in_flight = capacity_of(http) / 2;
    name_endpoint(config.anthropic ? config.anthropic->base_url : endpoint.base_url);
    auto llm = spawn_llm(system_, spawn_http(system_, http), config);
    chain_ = spawn_llm_chain(system_, llm, std::move(prompt));
  }

  int compare() {
    auto concurrent = perform(count_);
    announce("Concurrent", concurrent);
    auto groups = std::vector{to_bars("concurrent", concurrent)};
    std::optional<run_result> serial;
    if (concurrent.errors() < count_) {
      serial = perform(1);
      announce("Serial", *serial);
      groups.push_back(to_bars("serial", *serial));
      char ratio[64];
      std::snprintf(
          ratio, sizeof ratio, "Speed-up: %.2f times.", serial->seconds / concurrent.seconds);
      std::cout << bold(ratio, style_) << "\n";
    } else {
      std::cout << "No call was answered, so the serial run is left out.\n";
    }
    std::cout << "\n" << draw_waterfall(groups, style_);
    std::cout << std::flush;
    auto ok = write_files(groups, concurrent, serial);
    auto errors = concurrent.errors() + (serial ? serial->errors() : 0);
    return ok && errors == 0 ? 0 : 1;
  }

  run_result perform(size_t at_once) {
    auto result = config_.stream
                      ? stream(at_once)
                      : run_calls(system_, chain_, inputs_, count_, at_once, print_call());
    if (!result)
      throw std::runtime_error{describe(result.error())};
    return std::move(*result);
  }

  on_call_over print_call() const {
    return [this](size_t, const outcome& call) {
      auto line = line_of(call);
      std::cout << (call.ok() ? line : red("failed: " + line, style_)) << std::endl;
    };
  }

  /// As lines that grow, if the terminal can go back to them and has room for all.
  caf::expected<run_result> stream(size_t at_once) {
    if (!style_.can_go_back || count_ >= style_.rows)
      return run_calls(
          system_, chain_, inputs_, count_, at_once, print_call(), [](size_t, std::string_view) {});
    live_board board{count_, style_};
    return run_calls(
        system_, chain_, inputs_, count_, at_once,
        [&board](
            size_t index, const outcome& call) { board.finish(index, line_of(call), call.ok()); },
        [&board](size_t index, std::string_view text) { board.add(index, text); });
  }

  void announce(const char* what, const run_result& run) const {
    char line[96];
    std::snprintf(line, sizeof line, "%s executed in %.2f seconds.", what, run.seconds);
    std::cout << bold(line, style_) << "\n\n";
  }

  [[nodiscard]] bool write_timeline(
      const std::string& title, const std::vector<bar_group>& groups) const {
    if (config_.timeline.empty())
      return true;
    auto draw = config_.timeline.ends_with(".svg") ? draw_svg : draw_html;
    return write_file(config_.timeline, draw(title, "Answered by " + where_, groups));
  }

  [[nodiscard]] bool write_files(const std::vector<bar_group>& groups, const run_result& concurrent,
      const std::optional<run_result>& serial) const {
    auto title = std::to_string(count_) + " calls: concurrent " + show_seconds(concurrent.seconds) +
                 (serial ? ", serial " + show_seconds(serial->seconds) : "");
    auto ok = write_timeline(title, groups);
    if (!config_.json.empty())
      ok = write_file(config_.json, to_json(concurrent, serial) + "\n") && ok;
    return ok;
  }

  caf::actor_system& system_;
  const demo_config& config_;
  values inputs_;
  size_t count_;
  terminal_style style_ = detect_style(STDOUT_FILENO);
  std::unique_ptr<simulator::server> simulator_;
  std::string where_;
  chain_actor chain_;
};

} // namespace

int main(int argc, char** argv) {
  raise_open_file_limit();
  std::vector<std::string> arguments{argv + 1, argv + argc};
  values inputs;
  for (const auto& text : take_option(arguments, "--input")) {
    auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse("--input=" + text + " is not NAME=TEXT");
    inputs.insert_or_assign(text.substr(0, equals), text.substr(equals + 1));
  }
  try {
    // For its nodes, and for the endpoint that shows metrics.
    auto needs_middleman = std::ranges::any_of(arguments, [](const auto& x) {
      return x.starts_with("--nodes") || x.starts_with("--caf.middleman.");
    });
    auto run = [&inputs](caf::actor_system& system, const demo_config& config) {
      return program{system, config, std::move(inputs)}.run();
    };
    return needs_middleman ? run_main<cluster_demo_config>(std::move(arguments), run)
                           : run_main<demo_config>(std::move(arguments), run);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
