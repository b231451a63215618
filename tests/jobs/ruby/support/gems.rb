# frozen_string_literal: true

require 'fileutils'
require 'open3'
require 'rbconfig'

module JobTests
  # Libraries that Debian lacks, or has in one version only: sets of gems, each installed when a test
  # first needs it, into build/gems. Where they can't be had, the test is skipped with the reason.
  module Gems
    HOME = File.expand_path('../../../../build/gems', __dir__)
    GEM = File.join(File.dirname(RbConfig.ruby), 'gem')

    # In the order in which they are installed: the later ones take the versions of the earlier.
    SETS = {
      sidekiq: ['sidekiq:>= 7'],
      resque: ['redis:>= 5', 'redis-clustering:>= 5', 'resque:>= 2'],
      rails: ['rails:~> 7.2.0', 'pg:~> 1.5', 'good_job:>= 4', 'solid_queue:>= 1', 'que:>= 2',
              'delayed_job_active_record:>= 4.1.8', 'redis:>= 5', 'resque:>= 2']
    }.freeze

    module_function

    # The environment in which the set is found.
    def environment(test, name)
      @failures ||= {}
      home = File.join(HOME, "#{name}-#{RUBY_VERSION}")
      @failures[name] ||= install(name, home) unless File.exist?(done(name, home))
      test.skip "#{name}: #{@failures[name]}" if @failures[name]

      { 'GEM_HOME' => home, 'GEM_PATH' => [home, *Gem.default_path].join(':') }
    end

    # Debian's.
    def debian(test, name, requirement)
      Gem::Specification.find_by_name(name, requirement)
      { 'GEM_PATH' => Gem.default_path.join(':') }
    rescue Gem::MissingSpecError
      test.skip "#{name} #{requirement} is not installed"
    end

    # Names the set's content, so that a changed one is installed.
    def done(name, home)
      File.join(home, "done-#{SETS.fetch(name).join(',').gsub(/\W+/, '-')}")
    end

    # Why it could not be done; nil when it was.
    def install(name, home)
      FileUtils.mkdir_p(home)
      SETS.fetch(name).each do |gem|
        # A `make` around us does not set the variables of theirs.
        places = { 'GEM_HOME' => home, 'GEM_PATH' => home, 'MAKEFLAGS' => '' }
        out, status = Open3.capture2e(places, GEM, 'install', '--no-document', '--quiet', '--conservative',
                                      '--bindir', File.join(home, 'bin'), gem)
        return "gem install #{gem}: #{out.lines.last.to_s.strip}" unless status.success?
      end
      FileUtils.touch(done(name, home))
      nil
    end
  end
end
