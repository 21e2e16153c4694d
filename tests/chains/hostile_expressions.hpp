// What is no arithmetic, or more of it than is good.
#pragma once

#include <string>
#include <vector>

namespace chainmail::test {

/// Distinct texts, each of which is to be refused at once.
inline std::vector<std::string> hostile_expressions() {
  using namespace std::string_literals;
  auto repeat = [](const std::string& piece, size_t times) {
    std::string result;
    for (size_t i = 0; i < times; ++i)
      result += piece;
    return result;
  };
  std::vector<std::string> result{// Nothing to compute.
      "", " ", "\n", " \t\r\n ", "()", "(())", "( )", "+", "-", "*", "/", "%", "^", "!", "**", "//",
      "+-", "-+-", "+ + +", "* 3", "/ 3", "% 3", "^ 3", "! 3", "3 +", "3 -", "3 *", "3 **", "3 //",
      "3 %", "3 ^", "(3 +)", "(* 3)", ",", ",,", "1,", ",1", "1,,2", ".", "..", "_", "√", "×", "−",
      // Parentheses that are not in pairs.
      "(", ")", "(1", "1)", "((1)", "(1))", ")1(", "(1 + 2", "1 + 2)", "sqrt(4", "sqrt 4)",
      "max(1, 2", "(1,2)", "max((1, 2))", "[1]", "{1}", "(1]",
      // Two numbers, no operator.
      "1 2", "2(3)", "(2)(3)", "(2)3", "2pi", "2 pi", "pi pi", "2sqrt(4)", "3! 4", "2√4", "2π",
      "1.2.3", "1..2", "1 .5", "0x10", "0b11", "0o17", "1j", "10L", "1e", "1e+", "1e1.5", "1__0",
      "1_", "1_,000", "3 x 4", "5 mod 3", "15% of 80", "50%", "5 km", "$5", "5$", "€5", "1'000",
      "1 000",
      // Operators that are none of ours, or one too many.
      "1 *** 2", "1 * * 2", "1 / / 2", "2 ** ** 3", "2 ^^ 3", "3!!", "1!!!!!!!!!", "3!!4", "~1",
      "1 & 2", "1 | 2", "1 << 2", "1 >> 2", "1 @ 2", "not 1", "1 and 2", "1 or 2", "1 ? 2 : 3",
      "1 if 2 else 3", "1;2", "1; 2", "1:2", "1 \\ 2", "1#2", "1 # comment",
      // Assignment and comparison.
      "x = 3 * 4", "x=1", "x := 1", "a += 1", "pi = 3", "3 = 3", "3 == 3", "3 != 4", "3! = 6",
      "1 < 2", "1 > 2", "1 <= 2", "1 >= 2", "1 <> 2", "sqrt = 3",
      // Texts.
      "\"1\"", "'1'", "`1`", "\"\"", "'a' + 'b'", "'a' * 1000000000", "f'{1}'", "\"unfinished",
      // Names that are not known.
      "x", "foo", "foo(1)", "nan", "inf", "-inf", "infinity", "True", "None", "i", "rnd", "rnd()",
      "sum(1, 2)", "avg(1, 2)", "_pi", "_e", "sign(1)", "rint(1)", "print(1)", "print(3 * 4)",
      "sqrt_(4)", "math", "math.", "math.sqrt", "math.foo(1)", "math.math.sqrt(4)", "np.",
      "numpy.random(1)", "cmath.sqrt(4)", "scipy.sqrt(4)", "math .sqrt(4)", "math. sqrt(4)",
      "sqrt.real(4)", "pi.real", "pi()", "e(1)", "sqrt", "sqrt + 1", "sqrt 4", "sin x", "sinn(1)",
      "s in(1)",
      // Code.
      "__import__('os').system('x')", "__import__", "import os", "import os; os.system('rm -rf /')",
      "from os import system", "exec('1')", "eval('1')", "lambda: 1", "(lambda: 1)()",
      "lambda x: x", "open('/etc/passwd').read()", "[x for x in range(9)]", "range(10)",
      "().__class__", "().__class__.__bases__[0].__subclasses__()", "(1).__class__", "1 .real",
      "1.real", "def f(): 1", "while 1: 1", "os.system('x')", "getattr(1, 'x')", "globals()",
      "exit()", "quit()", "{1: 2}[1]", "{{7*7}}", "${7*7}", "$(reboot)", "`reboot`",
      "'; DROP TABLE x; --", "<script>1</script>", "%s%s%n", "system(1)", "input()",
      "sqrt(__import__('os'))", "1 + exec(1)", "await 1", "yield 1", "print",
      // Commas and numbers of arguments.
      "1,23", "1,2345", "12,34,567", "1234,567", "0,123", "1,234,56", "1, 234", "1 ,234", "1,234,",
      "1.5,000", "sqrt()", "sqrt( )", "sqrt(1, 2)", "sqrt(1,234)", "pow(1)", "pow(1, 2, 3)",
      "max()", "max(1,)", "max(,1)", "max(1,,2)", "max(,)", "log()", "log(1, 2, 3)", "atan2(1)",
      "round()", "round(1, 2, 3)", "factorial()", "factorial(1, 2)", "gcd()", "hypot()", "comb(1)",
      "sin(1, 2)", "(1; 2)", "min(1; 2)", "round(1,234)", "round(1, 0.5)", "round(1, -23)",
      "round(1, 100)", "round(1, 1e300)",
      // No finite or no real result.
      "1/0", "1 / (2 - 2)", "0/0", "1 // 0", "1 % 0", "1.5 // 0", "1.5 % 0", "0 ** -1",
      "0.0 ** -0.5", "1 / 0.0", "1 / -0.0", "sqrt(-1)", "√(-1)", "(-8) ** (1/3)", "log(0)",
      "log(-1)", "ln(0)", "log2(-1)", "log10(0)", "log(2, 0)", "log(2, 1)", "log(2, -1)",
      "log(1, 1)", "asin(2)", "acos(-2)", "exp(1000)", "sinh(1000)", "cosh(1000)", "1e308 * 10",
      "1e308 + 1e308", "-1e308 - 1e308", "1e300 ** 2", "2.0 ** 5000", "1e-300 ** -2", "1e999",
      "-1e999", "1e99999999999999999999", "1e-99999999999999999999", "1e308 / 1e-10",
      "factorial(-1)", "factorial(0.5)", "(-3)!", "2.5!", "comb(-1, 2)", "comb(5, 0.5)",
      "gcd(1.5, 2)", "hypot(1.7e308, 1.7e308)", "degrees(1e308)",
      // Integers that doubles do not hold.
      "9007199254740993", "-9007199254740993", "2**53 + 1", "2 ** 54", "2 ** 60", "2**1000000000",
      "(2**60) - (2**60 - 1)", "-(2**53) - 1", "94906267 * 94906267", "9**9**9**9", "9^9^9^9",
      "2^2^2^2^2^2", "10 ** 16", "9007199254740992 * 2", "3037000500 * 3037000500",
      "9007199254740992 * 9007199254740992", "factorial(19)", "factorial(25)", "19!", "170!",
      "factorial(1e9)", "factorial(9007199254740992)", "factorial(1e300)", "(3!)!!", "((5!)!)!",
      "comb(60, 30)", "comb(9007199254740992, 4503599627370496)", "(-3) ** 34", "pow(10, 300)",
      "99999999999999999999", "18446744073709551616", "9223372036854775807 + 1",
      "9,007,199,254,740,993", "round(9007199254740992, -1) + 9", "abs(-9007199254740992) + 1",
      "007", "00", "-01", "max(1,000)",
      // Bytes.
      "\0"s, "1\0"s, "\0001"s, "1 + \0 + 2"s, "1\0002"s, "sqrt\0(4)"s, "\x01", "\x7F",
      "1 + \x1B[31m2", "\x80", "\xFF", "1 + \xFF", "\xC3", "\xC3\x28", "\xE2\x88", "1 \xE2\x88",
      "\xED\xA0\x80", "\xF0\x9F\x98\x80", "\xF8\x88\x80\x80\x80", "\xC0\xAF", "\xF4\x90\x80\x80",
      "1 + \xEF\xBC\x92", "\xD9\xA3", "ä", "sqrt(ä)", "½", "2²", "∞", "∑(1)", "1 ≤ 2",
      "1\xC2\xA0+ 2",
      "\xEF\xBB\xBF"
      "1 + 2",
      "1\xE2\x80\xAE + 2", "1\v+ 2", "1\f+ 2", "一加一"};
  for (size_t times : {65U, 100U, 400U, 1001U, 100000U}) {
    result.push_back(repeat("(", times) + "1" + repeat(")", times));
    result.push_back(repeat("(", times));
    result.push_back(repeat(")", times));
    result.push_back(repeat("sqrt(", times) + "1" + repeat(")", times));
    result.push_back(repeat("-(", times) + "1" + repeat(")", times));
    result.push_back(repeat("√(", times));
    result.push_back(repeat("-", times));
    result.push_back(repeat("- ", times));
    result.push_back("3" + repeat("!", times));
    result.push_back("2" + repeat("**9", times));
    result.push_back("1" + repeat(",", times));
    result.push_back("1 + " + repeat("a", times));
    result.push_back(repeat("math.", times));
    result.push_back(repeat("max(1,", times));
    result.push_back("1" + repeat("/0", times));
  }
  for (size_t times : {30U, 900U, 100000U})
    result.push_back(repeat("9", times));
  // A megabyte of each.
  for (const auto* piece :
      {"1", "1+", "(", ")", "-", " ", "\n", "a", ",", "1,", "é", "\xFF", "!", "9**", "'"})
    result.push_back(repeat(piece, 1000000));
  result.push_back(std::string(1000000, '\0'));
  result.push_back("1 + 2" + std::string(1000000, ' '));
  return result;
}

} // namespace chainmail::test
