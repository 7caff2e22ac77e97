// Makes the replica set out of MEMBERS, and a user out of each file in USERS: the file's name is the user's, its text the
// password. `root` may do everything; any other user reads and writes the database docket_<user>, and nothing else.
// Every member runs this again and again; it changes only what is not so yet. It is written as a script and not as a program,
// because mongosh waits for the server only in plain statements.
const fs = require('fs');

const { MEMBERS, SELF, USERS } = process.env;
const hosts = MEMBERS.replace('mongodb://', '').split(',');
const local = `127.0.0.1:${SELF.split(':')[1]}`;
const passwords = Object.fromEntries(
  // Kubernetes keeps its own links beside the files, under names that begin with a dot.
  fs.readdirSync(USERS).filter((name) => !name.startsWith('.')).map((name) => [name, fs.readFileSync(`${USERS}/${name}`, 'utf8').trim()]),
);

const AUTHENTICATION_FAILED = 18;

const patience = 'directConnection=true&serverSelectionTimeoutMS=3000';
const stranger = () => new Mongo(`mongodb://${local}/?${patience}`).getDB('admin');

// Fails if the password is another one.
function as(name, database) {
  const them = `${encodeURIComponent(name)}:${encodeURIComponent(passwords[name])}`;
  const connected = new Mongo(`mongodb://${them}@${local}/${database}?authSource=${database}&${patience}`).getDB(database);
  connected.runCommand({ connectionStatus: 1 });
  return connected;
}

function main() {
  const hello = stranger().hello();
  if (!hello.setName) return begin();
  if (!hello.isWritablePrimary) return;
  const admin = asRoot();
  for (const host of hosts) join(admin, host);
  for (const name of Object.keys(passwords)) if (name !== 'root') admit(admin, name);
}

// Only the first member begins a set, and only if no other one has: it may have lost its volume.
function begin() {
  if (SELF !== hosts[0]) return;
  for (const host of hosts.slice(1)) if (hasSet(host)) return;
  try {
    stranger().adminCommand({ replSetInitiate: { _id: 'docket', members: [{ _id: 0, host: SELF }] } });
    print(`the replica set begins with ${SELF}`);
  } catch (error) {
    if (error.codeName !== 'AlreadyInitialized') throw error;
  }
}

function hasSet(host) {
  try {
    const hello = new Mongo(`mongodb://${host}/?${patience}`).getDB('admin').hello();
    return Boolean(hello.setName);
  } catch {
    return false;
  }
}

// Before there is any user, who comes from the same machine may make the first one.
function asRoot() {
  if (knows('root', 'admin')) return as('root', 'admin');
  stranger().createUser({ user: 'root', pwd: passwords.root, roles: ['root'] });
  print('root is made');
  return as('root', 'admin');
}

// One at a time, as MongoDB wants it. A member that the settings do not name any more is left to the operator.
function join(admin, host) {
  const { config } = admin.adminCommand({ replSetGetConfig: 1 });
  if (config.members.some((member) => member.host === host)) return;
  const _id = Math.max(...config.members.map((member) => member._id)) + 1;
  config.members.push({ _id, host });
  config.version += 1;
  admin.adminCommand({ replSetReconfig: config });
  print(`${host} joins`);
}

function admit(admin, name) {
  const database = `docket_${name}`;
  const theirs = admin.getSiblingDB(database);
  const roles = [{ role: 'readWrite', db: database }];
  if (!theirs.getUser(name)) {
    theirs.createUser({ user: name, pwd: passwords[name], roles });
    print(`${name} is made`);
  } else if (!knows(name, database)) {
    theirs.updateUser(name, { pwd: passwords[name], roles });
    print(`${name} has another password`);
  }
}

function knows(name, database) {
  try {
    as(name, database);
    return true;
  } catch (error) {
    if (error.code !== AUTHENTICATION_FAILED) throw error;
    return false;
  }
}

try {
  main();
} catch (error) {
  print(`not yet: ${error.message}`);
  quit(1);
}
