// Makes the replica set out of those that the file HOSTS names, and a user out of each file in USERS: the file's name is the user's,
// its text the password. `root` may do everything; any other user reads and writes the database docket_<user>, and nothing else.
// Every member runs this for as long as it lives; it changes only what is not so yet, and MEMBER is a file while the member serves.
// It is written as a script and not as a program, because mongosh waits for the server only in plain statements.
const fs = require('fs');

const { HOSTS, LOCAL, MEMBER, USERS } = process.env;
const SELF = process.env.SELF.replace('mongodb://', '');

const AUTHENTICATION_FAILED = 18;
const REMOVED = 93;

// Until all is made it is looked at each second; then the member itself is now and then, and what the settings say when they have
// changed or there is another primary, or seldom: to try all passwords costs more than all the rest.
const LOOK_MS = 1000;
const WELL_LOOK_MS = 4000;
const KEEP_MS = 60000;

const patience = 'directConnection=true&serverSelectionTimeoutMS=3000';
let hosts = [];
let passwords = {};

// A connection that ends with what is done by it.
function by(uri, work) {
  const connection = new Mongo(uri);
  try {
    // mongosh waits for an answer where it is put down, not where it is returned.
    const answer = work(connection);
    return answer;
  } finally {
    connection.close();
  }
}

const asStranger = (work) => by(`mongodb://${LOCAL}/?${patience}`, (connection) => work(connection.getDB('admin')));

// A connection costs more than a thousand questions, so the one by which the member is looked at stays.
let looks = null;

function hello() {
  looks ??= new Mongo(`mongodb://${LOCAL}/?${patience}&socketTimeoutMS=5000`);
  try {
    const answer = looks.getDB('admin').hello();
    return answer;
  } catch (error) {
    looks.close();
    looks = null;
    throw error;
  }
}

// Fails if the password is another one.
function as(name, database, work) {
  const them = `${encodeURIComponent(name)}:${encodeURIComponent(passwords[name])}`;
  return by(`mongodb://${them}@${LOCAL}/${database}?authSource=${database}&${patience}`, (connection) => {
    const theirs = connection.getDB(database);
    theirs.runCommand({ connectionStatus: 1 });
    return work(theirs);
  });
}

// Kubernetes brings the files up to date while this runs. Answers whether they have changed.
function readSettings() {
  const before = JSON.stringify([hosts, passwords]);
  hosts = fs.readFileSync(HOSTS, 'utf8').trim().split(',');
  // Kubernetes keeps its own links beside the files, under names that begin with a dot.
  const names = fs.readdirSync(USERS).filter((name) => !name.startsWith('.'));
  passwords = Object.fromEntries(names.map((name) => [name, fs.readFileSync(`${USERS}/${name}`, 'utf8').trim()]));
  return JSON.stringify([hosts, passwords]) !== before;
}

// Whether all is as the settings and the secret say, as far as this member has a say.
function keep(hello) {
  if (!hello.setName) {
    if (!restoreName()) begin();
    return false;
  }
  if (!hello.isWritablePrimary) return hello.secondary;
  makeRoot();
  as('root', 'admin', (admin) => {
    for (const host of hosts) rename(admin, host);
    for (const host of hosts) join(admin, host);
    for (const name of Object.keys(passwords)) if (name !== 'root') admit(admin, name);
  });
  return true;
}

// Only the first member begins a set, and only if no other one has: it may have lost its volume.
function begin() {
  if (SELF !== hosts[0]) return;
  for (const host of hosts.slice(1)) if (hasSet(host)) return;
  try {
    asStranger((admin) => admin.adminCommand({ replSetInitiate: { _id: 'docket', members: [{ _id: 0, host: SELF }] } }));
    print(`the replica set begins with ${SELF}`);
  } catch (error) {
    if (error.codeName !== 'AlreadyInitialized') throw error;
  }
}

function hasSet(host) {
  try {
    const hello = by(`mongodb://${host}/?${patience}`, (connection) => connection.getDB('admin').hello());
    return Boolean(hello.setName);
  } catch {
    return false;
  }
}

// A member that did not find itself under the name that its set has for it when it began is out of the set, and stays so although the
// name leads to it by now. One that is alone is called by another name here: by its right one, or if that is the one which it did not
// find, by the address that leads to it always, until it is primary and has its name back. The others are told by their set.
// Answers whether it is out.
function restoreName() {
  if (!knows('root', 'admin')) return false;
  return as('root', 'admin', (admin) => {
    try {
      admin.adminCommand({ replSetGetStatus: 1 });
      return false;
    } catch (error) {
      if (error.code !== REMOVED) return false;
    }
    const { config } = admin.adminCommand({ replSetGetConfig: 1 });
    if (config.members.length > 1) return true;
    const [member] = config.members;
    const other = member.host === SELF ? LOCAL : SELF;
    print(`${member.host} did not find itself, and is called ${other} from now on`);
    member.host = other;
    config.version += 1;
    admin.adminCommand({ replSetReconfig: config, force: true });
    return true;
  });
}

// Before there is any user, who comes from the same machine may make the first one.
function makeRoot() {
  if (knows('root', 'admin')) return;
  asStranger((admin) => admin.createUser({ user: 'root', pwd: passwords.root, roles: ['root'] }));
  print('root is made');
}

const pod = (host) => host.split('.')[0];

// The same member by another name: that of an earlier version of the settings, or the address by which a lost one was found.
function rename(admin, host) {
  const { config } = admin.adminCommand({ replSetGetConfig: 1 });
  const isSame = (member) => (host === SELF && member.host === LOCAL) || pod(member.host) === pod(host);
  const known = config.members.find(isSame);
  if (!known || config.members.some((member) => member.host === host)) return;
  print(`${known.host} is called ${host} from now on`);
  known.host = host;
  config.version += 1;
  admin.adminCommand({ replSetReconfig: config });
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
    as(name, database, () => true);
    return true;
  } catch (error) {
    if (error.code !== AUTHENTICATION_FAILED) throw error;
    return false;
  }
}

function serves(hello) {
  return Boolean(hello.setName && (hello.isWritablePrimary || hello.secondary));
}

// As the first process of its container it would hear of no signal by itself.
process.on('SIGTERM', () => process.exit(0));

let keptAt = 0;
let primary = '';
let lastWord = '';
for (;;) {
  try {
    const said = hello();
    const ready = serves(said);
    if (ready) fs.writeFileSync(MEMBER, '');
    else fs.rmSync(MEMBER, { force: true });
    const changed = readSettings() || said.primary !== primary;
    primary = said.primary;
    if (!ready || changed || Date.now() - keptAt > KEEP_MS) keptAt = keep(said) ? Date.now() : 0;
    lastWord = '';
  } catch (error) {
    keptAt = 0;
    // What is not yet is said once.
    if (error.message !== lastWord) print(`not yet: ${error.message}`);
    lastWord = error.message;
    if (error.message.includes('ECONNREFUSED')) fs.rmSync(MEMBER, { force: true });
  }
  sleep(keptAt ? WELL_LOOK_MS : LOOK_MS);
}
