# What a new Redmine gets before it is served: its default data, people with keys, and two projects.
# Run inside Redmine, whose classes these are: https://www.redmine.org/projects/redmine/wiki/Rest_api

require File.expand_path("config/environment")

Redmine::DefaultData::Loader.load("en")
Setting.rest_api_enabled = "1"
Setting.text_formatting = "common_mark"
Setting.login_required = "0" # as installed: public projects are open to everybody

def person(login, first, last, admin: false)
  User.create!(login: login, firstname: first, lastname: last, mail: "#{login}@acme.example", admin: admin,
               password: SecureRandom.hex, language: "en", mail_notification: "none")
end

def member(project, user, role)
  Member.create!(project: project, principal: user, roles: [role])
end

def custom_field(name, format, trackers, **more)
  IssueCustomField.create!(name: name, field_format: format, trackers: trackers, is_for_all: true, **more)
end

everything = Role.find_by!(name: "Developer")
everything.add_permission!(:view_issues, :add_issues, :edit_issues, :add_issue_notes, :set_own_issues_private)
reporter = Role.find_by!(name: "Reporter")
reporter.remove_permission!(:edit_issues)
mute = Role.create!(name: "Onlooker", permissions: [:view_issues])

bug, feature = Tracker.find_by!(name: "Bug"), Tracker.find_by!(name: "Feature")
strict = Tracker.create!(name: "Incident", default_status: bug.default_status)
WorkflowTransition.copy_one(bug, everything, strict, everything)

custom_field("Severity", "list", [bug, feature], possible_values: %w[critical high low], is_filter: true)
custom_field("Browsers", "list", [bug, feature], possible_values: %w[Safari Firefox], multiple: true)
custom_field("Bug key", "string", [bug, feature, strict], is_filter: true)
custom_field("Team", "string", [strict], is_required: true)

shop = Project.create!(name: "Webshop", identifier: "webshop", is_public: false, trackers: [bug, feature])
desk = Project.create!(name: "Service desk", identifier: "desk", is_public: false, trackers: [strict])
street = Project.create!(name: "Street", identifier: "street", is_public: true, trackers: [bug])
attic = Project.create!(name: "Attic", identifier: "attic", is_public: false, trackers: [bug])
IssueCategory.create!(project: shop, name: "Checkout")
Version.create!(project: shop, name: "2.0")

people = {
  admin: person("root", "Ada", "Admin", admin: true),
  bridge: person("bridge", "Tracker", "Bridge"),
  reporter: person("reporter", "Rita", "Reporter"),
  onlooker: person("onlooker", "Otto", "Onlooker"),
  stranger: person("stranger", "Sam", "Stranger"),
}
alice = person("alice", "Alice", "Able")
[shop, desk, attic, street].each { |project| member(project, people[:bridge], everything) }
[shop, desk].each { |project| member(project, alice, everything) }
member(shop, people[:reporter], reporter)
member(shop, people[:onlooker], mute)
attic.reload.close

File.write(ENV.fetch("KEYS"), people.transform_values(&:api_key).to_json)

run Rails.application
