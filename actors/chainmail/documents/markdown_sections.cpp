// Finding headings in Markdown.
#include <chainmail/documents/markdown_sections.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace chainmail {

namespace {

/// Of a heading in a path: each chunk has a copy.
constexpr size_t longest_title = 100;

struct heading {
  size_t level;
  std::string title;
};

struct fence {
  char mark;
  size_t length;
};

/// Without line break and the up to three spaces that CommonMark allows; nothing when there are
/// more.
std::optional<std::string_view> without_indentation(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
    line.remove_suffix(1);
  auto spaces = std::min(line.find_first_not_of(' '), line.size());
  if (spaces > 3)
    return std::nullopt;
  return line.substr(spaces);
}

size_t count_leading(std::string_view line, char mark) {
  return std::min(line.find_first_not_of(mark), line.size());
}

std::optional<heading> heading_of(std::string_view line) {
  auto level = count_leading(line, '#');
  auto rest = line.substr(level);
  if (level < 1 || level > 6 || (!rest.empty() && rest.front() != ' ' && rest.front() != '\t'))
    return std::nullopt;
  // "## Title ##" closes itself; "## C#" does not.
  auto title = trimmed(rest);
  auto end = title.find_last_not_of('#');
  auto before = end == std::string_view::npos ? std::string_view{} : title.substr(0, end + 1);
  if (before.empty() || before.back() == ' ' || before.back() == '\t')
    title = trimmed(before);
  return heading{level, one_line(title, longest_title)};
}

std::optional<fence> fence_of(std::string_view line) {
  auto mark = line.empty() ? '\0' : line.front();
  if (mark != '`' && mark != '~')
    return std::nullopt;
  auto length = count_leading(line, mark);
  if (length < 3 || (mark == '`' && line.find('`', length) != std::string_view::npos))
    return std::nullopt;
  return fence{mark, length};
}

bool closes(std::string_view line, const fence& open) {
  auto length = count_leading(line, open.mark);
  return length >= open.length && trimmed(line.substr(length)).empty();
}

std::string path_of(const std::vector<heading>& headings) {
  std::string path;
  for (const auto& [level, title] : headings) {
    if (title.empty())
      continue;
    if (!path.empty())
      path += " > ";
    path += title;
  }
  return path;
}

} // namespace

void for_each_section(std::string_view markdown, const section_reader& read) {
  std::vector<heading> headings;
  std::optional<fence> open;
  size_t section = 0;
  auto has_text = false;
  for (size_t begin = 0; begin < markdown.size();) {
    auto end = std::min(markdown.find('\n', begin), markdown.size() - 1) + 1;
    auto whole_line = markdown.substr(begin, end - begin);
    auto line = without_indentation(whole_line);
    auto found = std::optional<heading>{};
    if (line && open) {
      if (closes(*line, *open))
        open.reset();
    } else if (line) {
      open = fence_of(*line);
      found = heading_of(*line);
    }
    if (found) {
      auto goes_deeper = !headings.empty() && found->level > headings.back().level;
      if (begin > section && (has_text || !goes_deeper)) {
        read(path_of(headings), markdown.substr(section, begin - section));
        section = begin;
      }
      has_text = false;
      while (!headings.empty() && headings.back().level >= found->level)
        headings.pop_back();
      headings.push_back(std::move(*found));
    } else if (!has_text) {
      has_text = !trimmed(whole_line).empty();
    }
    begin = end;
  }
  if (section < markdown.size())
    read(path_of(headings), markdown.substr(section));
}

} // namespace chainmail
