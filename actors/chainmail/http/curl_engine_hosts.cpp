// How the engine resolves names: one scout goes ahead of a crowd.
#include <chainmail/http/curl_engine.hpp>
#include <chainmail/http/curl_errors.hpp>

namespace chainmail {

host& curl_engine::host_of(std::string_view url) {
  auto origin = origin_of(url);
  if (auto found = hosts_.find(origin); found != hosts_.end())
    return *found->second;
  constexpr size_t many = 1'000; // a crawler's worth; forget those that hold nothing
  if (hosts_.size() >= many)
    std::erase_if(
        hosts_, [](const auto& x) { return x.second->waiting.empty() && !x.second->scout; });
  auto added = std::make_unique<host>();
  added->origin = origin;
  added->gate.is_exempt = needs_no_resolver(origin);
  added->scout_of = added.get();
  return *hosts_.emplace(std::string{origin}, std::move(added)).first->second;
}

/// A scout is a transfer that stops as soon as libcurl knows an address, before it makes a socket.
void curl_engine::send_scout(host& h) {
  auto now = clock::now();
  if (h.scout != nullptr && now - h.scout_sent < options_.connect_timeout)
    return;
  recall_scout(h); // all who waited gave up, and nobody was there to see it return
  h.scout = curl_easy_init();
  h.scout_sent = now;
  h.scout_resolved = false;
  configure(h.scout, settings_);
  auto set = [&h](CURLoption option, auto x) { curl_easy_setopt(h.scout, option, x); };
  set(CURLOPT_URL, h.origin.c_str());
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_DNS_CACHE_TIMEOUT, static_cast<long>(resolve_gate::fresh_for.count()));
  set(CURLOPT_OPENSOCKETFUNCTION, &curl_engine::on_scout_socket);
  set(CURLOPT_OPENSOCKETDATA, &h);
  set(CURLOPT_PRIVATE, static_cast<handle_owner*>(&h));
  curl_multi_add_handle(shards_.front().multi, h.scout);
}

void curl_engine::recall_scout(host& h) {
  if (h.scout == nullptr)
    return;
  curl_multi_remove_handle(shards_.front().multi, h.scout);
  curl_easy_cleanup(h.scout);
  h.scout = nullptr;
}

curl_socket_t curl_engine::on_scout_socket(void* h, curlsocktype, curl_sockaddr*) {
  static_cast<host*>(h)->scout_resolved = true;
  return CURL_SOCKET_BAD;
}

void curl_engine::on_scout_back(host& h, CURLcode result) {
  recall_scout(h);
  if (h.scout_resolved) {
    h.gate.fresh_until = clock::now() + resolve_gate::fresh_for;
    while (!h.waiting.empty())
      run(h.waiting.front());
    return;
  }
  while (!h.waiting.empty()) {
    auto& call = h.waiting.front();
    failed_exchange failed;
    failed.result = result;
    failed.method = call.request.method;
    failed.url = call.request.url;
    finish(call, to_failure(failed));
  }
}

} // namespace chainmail
