// priorraw-native: the edge-box runner. Reads bundles, needs neither Python nor torch.

#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "clock.h"
#include "error.h"
#include "options.h"
#include "reconstruct.h"
#include "self_test.h"
#include "write_picture.h"

namespace priorraw {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int BENCH_ROUNDS = 9;

double rounded(double value) { return static_cast<double>(std::llround(value * 1000)) / 1000; }

/// Refuse what would replace an input or another output, and unknown suffixes, before the work.
void check_outputs(const Options& options) {
    std::vector<fs::path> taken = {options.picture};
    for (const fs::path& path : {options.out, options.reliability.value_or("")}) {
        if (path.empty()) continue;
        check_suffix(path);
        for (const fs::path& other : taken) {
            std::error_code error;
            if (fs::weakly_canonical(path, error) == fs::weakly_canonical(other, error)) {
                throw InputError(path.string() + ": would replace " + other.string() + "; name another output");
            }
        }
        taken.push_back(path);
    }
}

int run_picture(const Options& options) {
    check_outputs(options);
    const int threads = use_threads(options.threads);
    const Bundle bundle(options.bundle, options.public_key);
    bundle.check_all();
    const std::string camera = options.camera.empty() ? bundle.camera : options.camera;
    const Picture picture = read_picture(options.picture, options.size);
    const Tensors bank = bundle.tensors(bundle.bank(camera).file, BANK_TENSORS);
    std::optional<Model> model;
    const double load = milliseconds([&] { model.emplace(bundle); });

    const std::string made = "camera " + camera + ", priorraw-native " PRIORRAW_VERSION;
    auto raw = open_writer(options.out, picture.width, picture.height, 3,
                           "linear raw-RGB, 65535 = white level, " + made);
    std::unique_ptr<PictureWriter> trust;
    if (options.reliability) {
        trust = open_writer(*options.reliability, picture.width, picture.height, 1, "reliability, " + made);
    }
    Cost cost;
    const double total = milliseconds([&] {
        cost = reconstruct(bundle, *model, bank, picture, [&](const float* rows, const float* grey, int count) {
            raw->append(rows, count);
            if (trust) trust->append(grey, count);
        });
        raw->finish();
        if (trust) trust->finish();
    });
    if (trust) trust->commit();
    raw->commit();

    const Json result = {
        {"picture", options.picture.string()},
        {"output", options.out.string()},
        {"reliability", options.reliability ? Json(options.reliability->string()) : Json()},
        {"camera", camera},
        {"precision", bundle.precision},
        {"width", picture.width},
        {"height", picture.height},
        {"tiles", cost.tiles},
        {"threads", threads},
        {"load_ms", rounded(load)},
        {"scene_ms", rounded(cost.scene)},
        {"tile_ms", rounded(cost.tile)},
        {"total_ms", rounded(total)},
        {"peak_memory_mb", rounded(peak_memory())},
    };
    if (options.json) {
        std::cout << result.dump(2) << '\n';
    } else {
        std::printf("%s: %dx%d, %s, %d tiles, %.0f ms, %.0f MB\n", options.out.c_str(), picture.width, picture.height,
                    camera.c_str(), cost.tiles, total, peak_memory());
    }
    return 0;
}

void print(const Comparison& row) {
    char psnr[32] = "equal";
    if (row.psnr) std::snprintf(psnr, sizeof psnr, "%.1f dB", *row.psnr);
    std::printf("%-20s %-12s max error %.1e  %9s  (at least %.0f dB)  %s\n", row.camera.c_str(), row.output.c_str(),
                row.max_error, psnr, row.bound, row.passed() ? "ok" : "FAILED");
}

int run_self_test(const Options& options) {
    const int threads = use_threads(options.threads);
    const Bundle bundle(options.bundle, options.public_key);
    bundle.check_all();
    Model model(bundle);
    std::vector<Comparison> rows;
    for (const auto& [camera, bank] : bundle.banks) {
        if (!options.camera.empty() && bundle.bank(options.camera).file != bank.file) continue;
        for (const Comparison& row : compare_with_golden(bundle, model, camera)) rows.push_back(row);
    }
    const bool passed = std::ranges::all_of(rows, &Comparison::passed);
    Json result = {{"bundle", options.bundle.string()}, {"precision", bundle.precision}, {"tile", bundle.tile},
                   {"threads", threads},                {"passed", passed},              {"outputs", Json::array()}};
    for (const Comparison& row : rows) {
        result["outputs"].push_back({{"camera", row.camera},
                                     {"output", row.output},
                                     {"max_error", row.max_error},
                                     {"psnr", row.psnr ? Json(rounded(*row.psnr)) : Json()},
                                     {"bound", row.bound},
                                     {"passed", row.passed()}});
        if (!options.json) print(row);
    }
    if (options.bench) {
        const Bench times = bench(bundle, model, BENCH_ROUNDS);
        result["bench"] = {{"rounds", times.rounds}, {"scene_ms", rounded(times.scene)}, {"tile_ms", rounded(times.tile)}};
        if (!options.json) {
            std::printf("scene %.1f ms, tile %dx%d %.1f ms: median of %d rounds, threads: %d\n", times.scene,
                        bundle.tile, bundle.tile, times.tile, times.rounds, threads);
        }
    }
    result["peak_memory_mb"] = rounded(peak_memory());
    if (options.json) std::cout << result.dump(2) << '\n';
    return passed ? 0 : 1;
}

int run(int count, char** arguments) {
    const Options options = parse_options(count, arguments);
    if (options.help) return std::fputs(USAGE, stdout), 0;
    if (options.version) return std::puts("priorraw-native " PRIORRAW_VERSION ", ExecuTorch " EXECUTORCH_VERSION), 0;
    return options.self_test ? run_self_test(options) : run_picture(options);
}

}  // namespace
}  // namespace priorraw

int main(int count, char** arguments) {
    std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit then shows as a failed write
    try {
        return priorraw::run(count, arguments);
    } catch (const std::bad_alloc&) {
        std::fputs("priorraw-native: not enough memory; give a smaller picture\n", stderr);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "priorraw-native: %s\n", priorraw::one_line(error.what()).c_str());
    }
    return 2;
}
