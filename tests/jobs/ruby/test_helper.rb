# frozen_string_literal: true

# Run all: `make test-jobs-ruby`. Run one: `ruby -Itests/jobs/ruby tests/jobs/ruby/sidekiq_test.rb`.

require 'minitest/autorun'
require 'tempfile'
require 'io/wait'

# Without the settings of the shell that runs the tests.
ENV.delete_if { |name, _| name.match?(/DYNOSCALE|\ADYNO\z|HEROKU_APP_NAME|_proxy\z|_URL\z/i) }

require_relative '../../ruby/support/receiver'
require_relative '../../ruby/support/script'
require_relative '../../ruby/support/signals'
require_relative 'support/child'
require_relative 'support/gems'
require_relative 'support/servers'

module JobTests
  UUID = '0b5f7a52-1f0f-4c53-9d0c-2f5b8c6f1c11'

  # Ends the children of a test, and waits for conditions.
  class Case < Minitest::Test
    def setup
      @children = []
      @began = now_ms
    end

    def teardown
      @children.each(&:kill)
      @proxy&.stop
    end

    def child(code = nil, env: {}, **more)
      Child.new(env: env, **more).tap do |child|
        @children << child
        child.run("#{code}\ntrue") if code
      end
    end

    def redis
      RedisServer.shared(self)
    end

    def postgres
      PostgresServer.shared(self)
    end

    def receiver
      DynoscaleTests::Receiver.shared
    end

    # Each test has its own account, and so its own lock.
    def reporting(**more)
      receiver.clear
      receiver.behave('ok')
      { 'DYNOSCALE_URL' => "#{receiver.url}/#{self.class}/#{name}", 'DYNO' => 'worker.1',
        'DYNOSCALE_PUBLISH_FREQUENCY' => '1', **more.transform_keys(&:to_s) }
    end

    # {source => newest metric}
    def reported
      receiver.rows.to_h { |row| row.values_at('source', 'metric') }
    end

    def wait_until(what, seconds: 120)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      until (value = yield)
        flunk "not within #{seconds} s: #{what.respond_to?(:call) ? what.call : what}" if
          Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        sleep 0.02 # between two questions to another process
      end
      value
    end

    # Runs Ruby with these arguments while the block runs, which its output explains.
    def run_program(env, *arguments, directory: Dir.pwd)
      Tempfile.create('log') do |log|
        pid = Process.spawn(ENV.slice(*Child::KEPT).merge(env), RbConfig.ruby, *arguments,
                            unsetenv_others: true, in: File::NULL, %i[out err] => log.path,
                            chdir: directory)
        yield pid
        File.read(log.path)
      rescue Minitest::Assertion => e
        raise Minitest::Assertion, "#{e.message}\n#{File.read(log.path)}"
      ensure
        Process.kill(:TERM, pid)
        Process.wait(pid)
      end
    end

    # The age is as expected, plus the time since the test began, give or take what a database rounds.
    def assert_age(expected_ms, age, message = nil)
      assert_kind_of Numeric, age, message
      assert_includes (expected_ms - 50)..(expected_ms + now_ms - @began + 1000), age, message
    end

    def now_ms
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond)
    end
  end
end
