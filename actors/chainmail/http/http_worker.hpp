// One HTTP worker, and what its pool needs to see of it.
#pragma once

#include <chainmail/http/http_options.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <atomic>
#include <memory>

namespace chainmail {

/// Calls that were handed to a worker and are not answered yet. The pool counts up when it hands
/// one over, the worker down when it answers; nobody else sends to a pool's worker.
using worker_load = std::atomic<size_t>;

/// Spawns a worker with its own thread, for `capacity` exchanges at once. `load` is counted down.
http_actor spawn_http_worker(caf::actor_system& system, const http_options& options,
    size_t capacity, std::shared_ptr<worker_load> load);

} // namespace chainmail
