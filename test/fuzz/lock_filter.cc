// Does a survey of some files give the rows that are left when all others are taken out of the table?
#include <cerrno>
#include <fstream>

#include "input.h"
#include "native/lock_survey.h"

namespace locksmith::fuzz {
namespace {

// A procfs with nothing but a lock table.
class Root {
 public:
  Root() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/locksmith-proc-XXXXXX";
    MUST(mkdtemp(path_.data()) != nullptr);
  }
  ~Root() {
    unlink((path_ + "/locks").c_str());
    rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }
  void Write(const std::string& table) const { std::ofstream(path_ + "/locks") << table; }

 private:
  std::string path_;
};

// A held lock and those that wait for it stand together. They stay when somebody waits, or for the file.
std::vector<LockRow> Filter(const std::vector<LockRow>& rows, const FileSet& files) {
  std::vector<LockRow> left;
  for (size_t start = 0; start < rows.size();) {
    size_t end = start + 1;
    while (end < rows.size() && rows[end].waits()) end++;
    if (files.empty() || files.contains(rows[start].file) || end > start + 1 || rows[start].waits())
      left.insert(left.end(), rows.begin() + static_cast<ptrdiff_t>(start),
                  rows.begin() + static_cast<ptrdiff_t>(end));
    start = end;
  }
  return left;
}

}  // namespace
}  // namespace locksmith::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace locksmith;
  using namespace locksmith::fuzz;
  static const Root root;
  FuzzedDataProvider input(data, size);
  uint32_t choice = input.ConsumeIntegral<uint16_t>();
  std::string text = input.ConsumeRemainingBytesAsString();
  root.Write(text);
  Table whole = ReadSimply(text);

  SurveyRequest request;
  request.proc_root = root.path();
  for (size_t i = 0; i < whole.rows.size(); i++)
    if ((choice >> (i % 16) & 1) != 0) request.files.push_back(whole.rows[i].file);
  LockSurvey survey;
  MUST(SurveyLocks(request, &survey) == whole.result);
  if (whole.result != 0) return 0;
  MUST(Same(survey.rows, Filter(whole.rows, {request.files.begin(), request.files.end()})));
  MUST(survey.first.size() == survey.rows.size());
  MUST(survey.shown.empty() && survey.descriptors.empty() && survey.places.empty());
  return 0;
}
