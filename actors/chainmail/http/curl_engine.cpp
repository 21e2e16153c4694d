// How exchanges move through the engine: taken, queued, resolved, carried, answered.
#include <chainmail/errors.hpp>
#include <chainmail/http/curl_engine.hpp>
#include <chainmail/http/curl_errors.hpp>

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>

namespace chainmail {

namespace {

/// Two searches for one byte each are ten times as fast as one for either.
bool has_line_break(const std::string& text) {
  return text.find('\n') != std::string::npos || text.find('\r') != std::string::npos;
}

caf::error check(const http_request& request) {
  auto invalid = [](std::string sentence) {
    return make_failure(errc::invalid_input, std::move(sentence));
  };
  if (request.method != "GET" && request.method != "POST")
    return invalid("the HTTP method '" + request.method + "' is neither GET nor POST");
  if (!request.url.starts_with("http://") && !request.url.starts_with("https://"))
    return invalid("a URL must start with http:// or https://");
  for (const auto& [name, content] : request.headers)
    if (name.empty() || name.find(':') != std::string::npos || has_line_break(name) ||
        has_line_break(content))
      return invalid("the header '" + name.substr(0, name.find_first_of("\r\n")) +
                     "' has a line break or no valid name");
  if (const auto& secrets = request.secrets.lines())
    for (const auto& line : *secrets)
      if (has_line_break(line))
        return invalid("a secret header line has a line break");
  if (request.secrets.stayed_home())
    return make_failure(errc::authentication,
        "the request comes from another node, and keys do not cross nodes; run the client on the "
        "node of its HTTP worker");
  return {};
}

std::string system_ca_file() {
  auto* version = curl_version_info(CURLVERSION_NOW);
  return version->cainfo != nullptr ? version->cainfo : "/etc/ssl/certs/ca-certificates.crt";
}

} // namespace

// -- life -----------------------------------------------------------------------------

curl_engine::curl_engine(http_options options, size_t capacity, int wake_fd, http_metrics& counts)
  : options_(std::move(options)),
    capacity_(capacity),
    wake_fd_(wake_fd),
    counts_(counts),
    epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_fd_ < 0)
    throw std::system_error{errno, std::generic_category(), "epoll_create1"};
  // One thread uses the share, so it needs no locks.
  settings_.share = curl_share_init();
  curl_share_setopt(settings_.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_share_setopt(settings_.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  settings_.options = &options_;
  settings_.listed = &listed_;
  settings_.last_url = &last_url_;
  settings_.ca_file = options_.ca_file.empty() ? system_ca_file() : options_.ca_file;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_fd_;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
  add_shard(0);
}

curl_engine::~curl_engine() {
  for (auto& e : running_)
    curl_multi_remove_handle(e.carrier->home()->multi, e.carrier->handle());
  for (auto& [origin, h] : hosts_)
    recall_scout(*h);
  transfers_.clear();
  for (auto& s : shards_)
    curl_multi_cleanup(s.multi);
  curl_share_cleanup(settings_.share);
  close(epoll_fd_);
}

// -- the way of an exchange -------------------------------------------------------------

void curl_engine::submit(http_request request, const call_context& context,
    exchange::completion done, exchange_stream::sender send) {
  auto now = clock::now();
  auto refuse = [&](caf::error why) {
    counts_.failed(why);
    done(std::move(why));
  };
  if (context.due.has_passed(now))
    return refuse(
        make_failure(errc::timed_out, "the deadline passed before the exchange was started"));
  if (auto error = check(request))
    return refuse(std::move(error));
  // A burst waits while there are places too: only so many are started a turn.
  auto taken = active_ + queued_count_;
  if (taken >= capacity_ && taken - capacity_ >= options_.max_queued)
    return refuse(make_failure(errc::overloaded,
        "the HTTP engine has " + std::to_string(active_) + " exchanges under way and " +
            std::to_string(queued_count_) + " waiting, its limit"));
  if (unused_.empty())
    unused_.emplace_back();
  auto& call = unused_.front();
  call.home = &unused_;
  call.place = unused_.begin();
  call.ticket = ++last_ticket_;
  call.request = std::move(request);
  call.done = std::move(done);
  call.arrived = now;
  if (context.id) {
    call.name = by_id_.emplace(context.id, &call);
    call.has_name = true;
  }
  call.due = context.due.at;
  call.watched = clock::time_point::max();
  if (send) {
    call.stream = std::make_unique<exchange_stream>();
    call.stream->send = std::move(send);
    ++streams_;
  } else {
    call.due = std::min(call.due, deadline{now}.plus(options_.max_call_time));
  }
  move_to(call, queued_);
  watch(call);
  ++queued_count_;
  start_queued();
  show_load();
}

void curl_engine::start_queued() {
  while (!queued_.empty() && active_ < capacity_ && starts_left_ > 0) {
    --starts_left_;
    auto& call = queued_.front();
    --queued_count_;
    ++active_;
    auto& target = host_of(options_.proxy.empty() ? call.request.url : options_.proxy);
    if (target.gate.is_open(clock::now())) {
      run(call);
    } else {
      move_to(call, target.waiting);
      send_scout(target);
    }
  }
}

void curl_engine::run(exchange& call) {
  auto& carrier = idle_transfer();
  call.started = clock::now();
  move_to(call, running_);
  carrier.load(call);
  if (call.stream)
    watch(call);
  curl_multi_add_handle(carrier.home()->multi, carrier.handle());
}

/// Takes the exchange from wherever it is. Its answer goes out with the others of the turn: one by
/// one, each would wake a thread that has gone to sleep since the last.
void curl_engine::finish(exchange& call, caf::expected<http_response> result) {
  if (result)
    counts_.answered(call.request, *result, call.stream ? call.stream->received() : 0);
  else
    counts_.failed(result.error());
  if (call.carrier != nullptr) {
    auto* carrier = call.carrier;
    curl_multi_remove_handle(carrier->home()->multi, carrier->handle());
    carrier->abandon();
    idle_.push_back(carrier);
  }
  if (call.home == &queued_)
    --queued_count_;
  else
    --active_;
  if (call.has_name)
    by_id_.erase(call.name);
  call.has_name = false;
  if (call.stream) {
    note_hold(call, false);
    --streams_;
  }
  call.stream.reset();
  call.ticket = 0;
  call.request = http_request{};
  answers_.push_back({std::move(call.done), std::move(result)});
  call.done = nullptr;
  move_to(call, unused_);
}

void curl_engine::show_load() {
  counts_.in_flight.set(static_cast<int64_t>(active_));
  counts_.queued.set(static_cast<int64_t>(queued_count_));
}

/// What the callers are told, the metrics show already.
void curl_engine::send_answers() {
  show_load();
  for (auto& [done, result] : answers_)
    done(std::move(result));
  answers_.clear();
}

void curl_engine::move_to(exchange& call, std::list<exchange>& list) {
  list.splice(list.end(), *call.home, call.place);
  call.home = &list;
}

void curl_engine::cancel(const call_id& id) {
  if (!id)
    return;
  std::vector<exchange*> chosen;
  for (auto i = by_id_.lower_bound(id); i != by_id_.end() && i->first.root == id.root; ++i) {
    if (id.step != 0 && i->first != id)
      break;
    chosen.push_back(i->second);
  }
  for (auto* call : chosen)
    finish(*call, make_failure(errc::cancelled, "the caller gave the call up"));
  start_queued();
  send_answers();
}

void curl_engine::fail_all(const caf::error& why) {
  while (!queued_.empty())
    finish(queued_.front(), why);
  for (auto& [origin, h] : hosts_)
    while (!h->waiting.empty())
      finish(h->waiting.front(), why);
  while (!running_.empty())
    finish(running_.front(), why);
  while (!draining_.empty())
    finish(draining_.front(), why);
  send_answers();
}

// -- turning ------------------------------------------------------------------------------

void curl_engine::turn(const wait_hooks& hooks) {
  expire(clock::now());
  starts_left_ = starts_a_turn;
  start_queued();
  move_streams();
  send_answers();
  wait(hooks);
  move_on();
}

void curl_engine::move_on() {
  auto now = clock::now();
  for (auto& s : shards_)
    if (s.timer <= now) {
      s.timer = clock::time_point::max();
      touch(s, CURL_SOCKET_TIMEOUT, 0);
    }
  collect_finished();
  move_streams();
  start_queued();
  send_answers();
}

curl_engine::clock::time_point curl_engine::time_to_wake(clock::time_point now) const {
  // The next call often comes soon, and finds the thread here sooner than elsewhere.
  constexpr std::chrono::milliseconds idle_for{5};
  if (is_idle())
    return now + idle_for;
  if (!queued_.empty() && active_ < capacity_)
    return now;
  auto next = std::min(dues_.next(), now + std::chrono::minutes{1});
  for (const auto& s : shards_)
    next = std::min(next, s.timer);
  return next;
}

/// Pieces of a crowd of streams never end. Those of a millisecond together take four fifths of the CPU
/// that they take one by one. Mail ends it.
void curl_engine::let_pieces_come() const {
  pollfd mail{wake_fd_, POLLIN, 0};
  poll(&mail, 1, 1);
}

void curl_engine::wait(const wait_hooks& hooks) {
  constexpr size_t crowd = 64;
  constexpr int most = 256;
  epoll_event events[most];
  auto now = clock::now();
  wakes_at_ = time_to_wake(now);
  // Rounded up: waking before the timer is due would only turn again.
  auto ms = std::chrono::ceil<std::chrono::milliseconds>(wakes_at_ - now).count();
  auto waits = ms > 0 && hooks.begin();
  if (waits && streams_ >= crowd)
    let_pieces_come();
  auto count = epoll_wait(epoll_fd_, events, most, waits ? static_cast<int>(ms) : 0);
  if (waits)
    hooks.end();
  for (int i = 0; i < count; ++i) {
    auto fd = events[i].data.fd;
    auto seen = events[i].events;
    if (fd == wake_fd_) {
      uint64_t rings = 0;
      [[maybe_unused]] auto got = read(wake_fd_, &rings, sizeof rings);
      continue;
    }
    auto& known = watch_of(fd);
    if (!known.is_known)
      continue; // closed by what came before it
    if (known.is_idle) {
      // The peer hung up, most likely, which libcurl sees at the next call.
      take_from_epoll(fd, known);
      continue;
    }
    auto mask = 0;
    if ((seen & EPOLLIN) != 0)
      mask |= CURL_CSELECT_IN;
    if ((seen & EPOLLOUT) != 0)
      mask |= CURL_CSELECT_OUT;
    if ((seen & (EPOLLERR | EPOLLHUP)) != 0)
      mask |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
    touch(*known.home, fd, mask);
  }
}

// -- libcurl ------------------------------------------------------------------------------

/// Transfers fill one shard after the other: with few in flight, few shards need looking at.
shard& curl_engine::shard_with_room() {
  auto full = (shards_.size() - 1) * shard::capacity;
  if (transfers_.size() >= full)
    add_shard(std::min(shard::capacity, capacity_ - full));
  return shards_.back();
}

void curl_engine::add_shard(size_t connections) {
  auto& added = shards_.emplace_back();
  added.engine = this;
  added.multi = curl_multi_init();
  if (added.multi == nullptr)
    throw std::bad_alloc{};
  auto set = [&](CURLMoption option, auto x) { curl_multi_setopt(added.multi, option, x); };
  set(CURLMOPT_SOCKETFUNCTION, &curl_engine::on_socket);
  set(CURLMOPT_SOCKETDATA, &added);
  set(CURLMOPT_TIMERFUNCTION, &curl_engine::on_timer);
  set(CURLMOPT_TIMERDATA, &added);
  // Without the first, libcurl keeps few idle connections: 3,478 connections for 60,000 calls, not
  // 64. Without the second, idle ones to one host come on top of busy ones to another.
  set(CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
  set(CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(connections));
}

transfer& curl_engine::idle_transfer() {
  if (idle_.empty()) {
    auto& home = shard_with_room();
    auto& added = transfers_.emplace_back(settings_, &home);
    auto twice = static_cast<long>(2 * resolve_gate::fresh_for.count());
    auto set = [&added](CURLoption option, auto x) { curl_easy_setopt(added.handle(), option, x); };
    set(CURLOPT_DNS_CACHE_TIMEOUT, twice);
    set(CURLOPT_OPENSOCKETFUNCTION, &curl_engine::on_open);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_CLOSESOCKETFUNCTION, &curl_engine::on_close);
    set(CURLOPT_CLOSESOCKETDATA, this);
    return added;
  }
  // The last one used: its connection is the likeliest to be still open.
  auto& last = *idle_.back();
  idle_.pop_back();
  return last;
}

void curl_engine::touch(shard& s, curl_socket_t fd, int mask) {
  auto running = 0;
  if (!s.is_touched) {
    s.is_touched = true;
    touched_.push_back(&s);
  }
  curl_multi_socket_action(s.multi, fd, mask, &running);
}

void curl_engine::collect_finished() {
  for (size_t i = 0; i < touched_.size(); ++i) {
    auto& s = *touched_[i];
    s.is_touched = false;
    auto left = 0;
    while (auto* message = curl_multi_info_read(s.multi, &left)) {
      if (message->msg != CURLMSG_DONE)
        continue;
      auto result = message->data.result;
      char* owner_ptr = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner_ptr);
      auto* owner = reinterpret_cast<handle_owner*>(owner_ptr);
      if (owner->scout_of != nullptr) {
        on_scout_back(*owner->scout_of, result);
        continue;
      }
      auto& carrier = *static_cast<transfer*>(owner);
      auto& call = *carrier.current();
      curl_multi_remove_handle(s.multi, carrier.handle());
      auto response = carrier.unload(result);
      idle_.push_back(&carrier);
      conclude(call, std::move(response));
    }
  }
  touched_.clear();
}

int curl_engine::on_timer(CURLM*, long ms, void* s) {
  static_cast<shard*>(s)->timer =
      ms < 0 ? clock::time_point::max() : clock::now() + std::chrono::milliseconds{ms};
  return 0;
}

} // namespace chainmail
