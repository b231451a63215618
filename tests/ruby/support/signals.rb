# frozen_string_literal: true

# A shell has the commands that it starts in the background ignore these, and all their children.
%w[INT QUIT].each { |name| trap(name, 'DEFAULT') }
