# Answers each payload with its form in an app with ActiveSupport: in the worker's status record, and in jobs that
# the app enqueues. Both use `to_json`, which Resque calls through MultiJson.
require 'active_support'
require 'active_support/json'

STDIN.each_line { |payload| puts JSON.parse(payload).to_json }
