# frozen_string_literal: true

# Runs out of files, then gets some back. A first report before it, or none: with `loaded` the HTTP
# library is there already.
if ARGV.first == 'loaded'
  record
  flush or abort
end
Process.setrlimit(Process::RLIMIT_NOFILE, 64)
taken = []
begin
  loop { taken << File.open(File::NULL) }
rescue Errno::EMFILE
  record(10)
end
sleep(0.01) until stats[:reports_failed].positive?
record(10)
taken.each(&:close)
flush or abort stats.to_s
puts stats[:recorded]
