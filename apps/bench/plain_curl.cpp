// The peer of `rate` and `fanout`: libcurl alone, on one thread, with the same requests.
#include "pace.hpp"
#include "scenarios.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <vector>

namespace chainmail::bench {

namespace {

using clock = pace::clock;

constexpr auto plain_body =
    R"({"model":"gpt-3.5-turbo-instruct","prompt":["What is a good name for a company that makes )"
    R"(toothpaste?"],"temperature":0.7,"max_tokens":256})";

/// A file descriptor that is closed with the object.
class file {
public:
  explicit file(int number) : number_(number) {
    if (number < 0)
      throw std::runtime_error{"there is no file descriptor left"};
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() { close(number_); }

  [[nodiscard]] int number() const { return number_; }

private:
  int number_;
};

/// One transfer at a time, on a handle that is used again.
struct slot {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), curl_easy_cleanup};
  std::string answer;
  uint64_t index = 0;
  clock::time_point called;
};

class curl_client {
public:
  curl_client(std::string url, pace plan, size_t in_flight)
    : url_(std::move(url)), plan_(plan), in_flight_(in_flight) {
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(in_flight));
    watch(clock_.number(), EPOLLIN, EPOLL_CTL_ADD);
  }
  curl_client(const curl_client&) = delete;
  curl_client& operator=(const curl_client&) = delete;
  ~curl_client() {
    for (auto& each : slots_)
      curl_multi_remove_handle(multi_.get(), each->easy.get());
    curl_slist_free_all(headers_);
  }

  paced_figures run() {
    wake_precisely();
    plan_.begin = clock::now();
    while (answered_ < plan_.all_calls()) {
      call_what_is_due();
      wait();
      take_answers();
    }
    found_.wall_s = watch_->wall_s();
    found_.cpu_s = watch_->cpu_s();
    return std::move(found_);
  }

private:
  void watch(int socket, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    epoll_ctl(poll_.number(), operation, socket, &event);
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void* is_known) {
    auto& self = *static_cast<curl_client*>(data);
    if (what == CURL_POLL_REMOVE) {
      self.watch(socket, 0, EPOLL_CTL_DEL);
      return 0;
    }
    uint32_t events = 0;
    if ((what & CURL_POLL_IN) != 0)
      events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0)
      events |= EPOLLOUT;
    self.watch(socket, events, is_known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    curl_multi_assign(self.multi_.get(), socket, data);
    return 0;
  }

  static int on_timer(CURLM*, long milliseconds, void* data) {
    auto& self = *static_cast<curl_client*>(data);
    self.timer_ = milliseconds < 0 ? clock::time_point::max()
                                   : clock::now() + std::chrono::milliseconds{milliseconds};
    return 0;
  }

  static size_t on_data(char* data, size_t size, size_t count, void* to) {
    static_cast<std::string*>(to)->append(data, size * count);
    return size * count;
  }

  slot& free_slot() {
    if (free_.empty()) {
      auto& made = *slots_.emplace_back(std::make_unique<slot>());
      auto* easy = made.easy.get();
      curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, plain_body);
      curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
      curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
      curl_easy_setopt(easy, CURLOPT_WRITEDATA, &made.answer);
      curl_easy_setopt(easy, CURLOPT_PRIVATE, &made);
      curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
      curl_easy_setopt(easy, CURLOPT_PROXY, "");
      free_.push_back(&made);
    }
    auto* result = free_.back();
    free_.pop_back();
    return *result;
  }

  /// Without a rate, whenever there is room.
  [[nodiscard]] uint64_t calls_due() const {
    if (plan_.per_second > 0)
      return plan_.calls_due(clock::now());
    return std::min(plan_.all_calls(), answered_ + in_flight_);
  }

  void call_what_is_due() {
    for (auto due = calls_due(); called_ < due; ++called_) {
      if (called_ == plan_.warm_up)
        watch_ = std::make_unique<stopwatch>();
      auto& with = free_slot();
      with.answer.clear();
      with.index = called_;
      with.called = clock::now();
      curl_multi_add_handle(multi_.get(), with.easy.get());
    }
    if (plan_.per_second > 0 && called_ < plan_.all_calls())
      ring_at(plan_.due(called_));
  }

  void ring_at(clock::time_point when) {
    auto since_boot = when.time_since_epoch();
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
    itimerspec time{};
    time.it_value.tv_sec = seconds.count();
    time.it_value.tv_nsec = std::chrono::nanoseconds{since_boot - seconds}.count();
    timerfd_settime(clock_.number(), TFD_TIMER_ABSTIME, &time, nullptr);
  }

  [[nodiscard]] int milliseconds_to_timer() const {
    if (timer_ == clock::time_point::max())
      return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(timer_ - clock::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
  }

  void wait() {
    std::array<epoll_event, 512> events;
    auto count = epoll_wait(poll_.number(), events.data(), events.size(), milliseconds_to_timer());
    for (auto i = 0; i < count; ++i) {
      const auto& event = events[static_cast<size_t>(i)];
      if (event.data.fd == clock_.number()) {
        uint64_t rings = 0;
        [[maybe_unused]] auto size = read(clock_.number(), &rings, sizeof rings);
        continue; // what is due is looked up anyway
      }
      auto what = (event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_IN;
      curl_multi_socket_action(multi_.get(), event.data.fd, what, &running_);
    }
    if (timer_ <= clock::now()) {
      timer_ = clock::time_point::max();
      curl_multi_socket_action(multi_.get(), CURL_SOCKET_TIMEOUT, 0, &running_);
    }
  }

  void take_answers() {
    auto left = 0;
    while (auto* message = curl_multi_info_read(multi_.get(), &left)) {
      auto* easy = message->easy_handle;
      auto code = message->data.result;
      char* found = nullptr;
      curl_easy_getinfo(easy, CURLINFO_PRIVATE, &found);
      auto& with = *reinterpret_cast<slot*>(found);
      auto status = 0L;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      curl_multi_remove_handle(multi_.get(), easy);
      if (code != CURLE_OK || status != 200)
        note_error(code, status);
      found_.note(plan_, with.index, with.called);
      ++answered_;
      free_.push_back(&with);
    }
  }

  void note_error(CURLcode code, long status) {
    if (found_.errors++ == 0)
      found_.first_error = code != CURLE_OK ? std::string{curl_easy_strerror(code)}
                                            : "the status was " + std::to_string(status);
  }

  std::string url_;
  pace plan_;
  size_t in_flight_;
  std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi_{
      curl_multi_init(), curl_multi_cleanup};
  file poll_{epoll_create1(EPOLL_CLOEXEC)};
  file clock_{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  curl_slist* headers_ =
      curl_slist_append(curl_slist_append(nullptr, "Content-Type: application/json"), "Expect:");
  std::vector<std::unique_ptr<slot>> slots_;
  std::vector<slot*> free_;
  clock::time_point timer_ = clock::time_point::max();
  int running_ = 0;
  uint64_t called_ = 0;
  uint64_t answered_ = 0;
  std::unique_ptr<stopwatch> watch_;
  paced_figures found_;
};

} // namespace

caf::expected<report> plain_curl(caf::actor_system&, const load& how_much) {
  curl_global_init(CURL_GLOBAL_ALL);
  pace plan{how_much.per_second, how_much.warm_up, how_much.calls};
  curl_client client{how_much.llm.endpoint.base_url + "/completions", plan, how_much.in_flight};
  auto found = client.run();
  return paced_report("plain_curl", plan, found).finish(found.first_error);
}

} // namespace chainmail::bench
