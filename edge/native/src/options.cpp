#include "options.h"

#include <charconv>
#include <string_view>
#include <vector>

#include "error.h"

namespace priorraw {

const char* const USAGE =
    R"(Turn a photograph into linear raw-RGB with a bundle of priorraw-edge (target xnnpack, fp32 or int8).

usage: priorraw-native BUNDLE PICTURE -o OUT [--reliability FILE] [--camera C] [--size WxH] [--threads N]
                      [--public-key FILE] [--json]
       priorraw-native --self-test BUNDLE [--bench] [--camera C] [--threads N] [--public-key FILE] [--json]

  PICTURE             sRGB: PNG or PPM (P6), 8 or 16 bit; with --size raw little-endian float32 RGB in [0, 1]
  -o, --out OUT       .tif, .tiff or .png: 16 bit, 65535 = white level; .f32: raw little-endian float32
  --reliability FILE  also write the reliability map, in one of the same formats
  --camera C          whose RAW to rebuild; by default the bundle's camera (a self-test takes all)
  --public-key FILE   refuse a bundle that was not signed with this key (PEM, Ed25519)
  --size WxH          PICTURE is raw float32 of this size
  --threads N         by default one a core
  --json              print the result as JSON: files, milliseconds, peak memory
  --self-test         run the golden inputs of every bank and compare with PyTorch's outputs
  --bench             also time both programs
  --help, --version

exit codes: 0 done; 1 the self-test found a difference; 2 the call or its input was wrong
)";

namespace {

int number(std::string_view text, const std::string& option, int most) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
        throw InputError(option + " " + std::string(text) + ": give a number from 1 to " + std::to_string(most));
    }
    return value;
}

Size parse_size(const std::string& text) {
    const std::size_t cross = text.find('x');
    if (cross == text.npos) throw InputError("--size " + text + ": give width and height, as in 640x480");
    constexpr int LONGEST = 200'000'000;
    return {number(std::string_view(text).substr(0, cross), "--size", LONGEST),
            number(std::string_view(text).substr(cross + 1), "--size", LONGEST)};
}

void check(const Options& options, const std::vector<std::string>& names) {
    const std::size_t needed = options.self_test ? 1 : 2;
    if (names.size() != needed) {
        throw InputError(std::string(options.self_test ? "--self-test takes BUNDLE" : "needs BUNDLE and PICTURE") +
                         ", not " + std::to_string(names.size()) + " names; see priorraw-native --help");
    }
    if (options.self_test && (!options.out.empty() || options.reliability || options.size)) {
        throw InputError("--self-test writes and reads no picture; leave out --out, --reliability and --size");
    }
    if (!options.self_test && options.bench) throw InputError("--bench goes with --self-test; add it");
    if (!options.self_test && options.out.empty()) throw InputError("nothing to write; name a file with -o OUT");
}

}  // namespace

Options parse_options(int count, char** arguments) {
    Options options;
    std::vector<std::string> names;
    for (int i = 1; i < count; ++i) {
        const std::string option = arguments[i];
        const auto value = [&]() -> std::string {
            if (++i == count) throw InputError(option + " needs a value; see priorraw-native --help");
            return arguments[i];
        };
        if (option == "--help" || option == "-h") options.help = true;
        else if (option == "--version") options.version = true;
        else if (option == "--self-test") options.self_test = true;
        else if (option == "--bench") options.bench = true;
        else if (option == "--json") options.json = true;
        else if (option == "-o" || option == "--out") options.out = value();
        else if (option == "--reliability") options.reliability = value();
        else if (option == "--camera") options.camera = value();
        else if (option == "--public-key") options.public_key = value();
        else if (option == "--size") options.size = parse_size(value());
        else if (option == "--threads") options.threads = number(value(), option, 256);
        else if (option.starts_with("-")) throw InputError(option + ": no such option; see priorraw-native --help");
        else names.push_back(option);
    }
    if (options.help || options.version) return options;
    check(options, names);
    options.bundle = names[0];
    if (!options.self_test) options.picture = names[1];
    return options;
}

}  // namespace priorraw
