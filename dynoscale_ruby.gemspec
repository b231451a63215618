# frozen_string_literal: true

version = File.binread(File.expand_path('core/include/dynoscale.h', __dir__))[
  /^#define DYNOSCALE_VERSION "(.+)"/, 1
]

Gem::Specification.new do |spec|
  spec.name = 'dynoscale_ruby'
  spec.version = version
  spec.license = 'MIT'
  spec.authors = ['Mjolnir Software']
  spec.homepage = 'https://dynoscale.net'
  spec.summary = 'Autoscaling of Heroku dynos by queue time: the agent for Ruby'
  spec.description = <<~TEXT.tr("\n", ' ').strip
    Measures how long each request waited for a free worker, and reports it to Dynoscale, which
    scales the app by it. A Rack middleware and a Railtie around a core in C that costs a request
    no lock, no allocation and no I/O.
  TEXT

  source = 'https://github.com/Mjolnir-Software/dynoscale_ruby'
  spec.metadata = {
    'source_code_uri' => source,
    'changelog_uri' => "#{source}/blob/v#{version}/CHANGELOG.md",
    'documentation_uri' => "#{source}/blob/v#{version}/README.md",
    'bug_tracker_uri' => "#{source}/issues",
    'rubygems_mfa_required' => 'true'
  }

  spec.require_paths = ['ruby/lib']
  spec.bindir = 'ruby/exe'
  spec.executables = ['dynoscale']
  files = %w[CHANGELOG.md LICENSE README.md ruby/exe/* ruby/lib/**/*.rb]

  if ENV['DYNOSCALE_GEM_PLATFORM']
    # release/gems.py put a library for each libc and Ruby into the folder that this file is in.
    spec.platform = ENV['DYNOSCALE_GEM_PLATFORM']
    files << 'ruby/lib/**/*.so'
    rubies = Dir["#{__dir__}/ruby/lib/dynoscale_ruby/gnu/*"].map { |path| File.basename(path) }
    first, *others = rubies.map { |ruby| ruby[/\d+\z/].to_i }.sort
    last = others.last || first
    # RubyGems gives every other Ruby the gem to compile. It has no word for a whole minor version.
    lacking = ([*first..last] - [first, *others]).product([*0..30])
    ruby_versions = [">= 3.#{first}", "< 3.#{last + 1}.dev",
                     *lacking.map { |minor, patch| "!= 3.#{minor}.#{patch}" }]
  else
    ruby_versions = '>= 3.0'
    spec.extensions = ['ext/ruby/extconf.rb']
    # The gem's root is the repository's, and the core is compiled from where it stands.
    files += %w[core/README.md core/include/*.h core/src/*.{c,h} ext/ruby/{depend,*.{c,h,rb}}]
  end
  spec.required_ruby_version = ruby_versions
  spec.files = Dir.chdir(__dir__) { Dir[*files].sort }
end
