// The demo over several nodes: one of them is killed, and no call is lost.
#pragma once

#include "bars.hpp"

#include <chainmail/actors.hpp>
#include <chainmail/values.hpp>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace chainmail::demo {

struct cluster_plan {
  size_t nodes = 3;
  size_t calls = 30;
  /// The endpoint that the nodes ask; they get it, and the environment, from this process.
  std::string base_url;
  std::string model;
  bool chat = false;
  std::string prompt;
  values inputs;
  /// When one of the nodes is killed, counted from the first call. With a single node none is.
  caf::timespan kill_after;
};

/// One call on one node: to its answer, or to the node's end.
struct node_call {
  std::string node;
  double start_s = 0;
  double end_s = 0;
  bool ok = true;
  /// It was on another node before, which was lost.
  bool was_moved = false;
  std::string label;
};

struct cluster_run {
  double seconds = 0;
  std::vector<std::string> nodes;
  /// Empty when none was killed.
  std::string killed;
  double killed_at_s = 0;
  std::vector<node_call> calls;
  size_t asked = 0;
  /// Answers that came from nodes, and calls of the chain that had one.
  size_t answered = 0;
  size_t heard = 0;
  /// The first error of a call.
  std::string error;

  /// Of `calls`, those that ended with their node.
  [[nodiscard]] size_t lost() const;
};

/// Starts chainmail-node as workers, which join a node of this process, runs the chain on all of them
/// and kills one. They end with this process at the latest. `on_answer` hears of each answer.
/// @throws std::runtime_error when the workers cannot be started, or do not join.
cluster_run run_cluster(caf::actor_system& system, const cluster_plan& plan,
    const std::function<void(const node_call&)>& on_answer);

/// A group for each node.
std::vector<bar_group> to_bars(const cluster_run& run);

/// What became of the nodes and of their calls, in a sentence.
std::string sentence_of(const cluster_run& run);

/// The calls of each node as a table.
std::string table_of(const cluster_run& run);

std::string to_json(const cluster_run& run);

} // namespace chainmail::demo
