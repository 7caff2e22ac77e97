// Tries, as each user in USERS but root, what it must be able to do and what it must not, and prints what is otherwise.
const fs = require('fs');

const { MEMBERS, USERS } = process.env;
const users = fs.readdirSync(USERS).filter((name) => name !== 'root');

function refused(attempt) {
  try {
    attempt();
    return false;
  } catch (error) {
    if (error.codeName !== 'Unauthorized') throw error;
    return true;
  }
}

for (const user of users) {
  const password = fs.readFileSync(`${USERS}/${user}`, 'utf8');
  const own = new Mongo(`${MEMBERS.replace('://', `://${user}:${password}@`)}/docket_${user}?replicaSet=docket`).getDB(`docket_${user}`);
  if (refused(() => own.things.insertOne({ _id: 1 }))) print(`${user} may not write its own database`);
  if (refused(() => own.things.createIndex({ at: 1 }))) print(`${user} may not make an index`);
  if (refused(() => own.things.drop())) print(`${user} may not drop a collection of its own`);
  if (!refused(() => own.adminCommand({ listDatabases: 1, nameOnly: true, authorizedDatabases: false }))) print(`${user} may list all databases`);
  if (!refused(() => own.createUser({ user: 'guest', pwd: 'guest', roles: [] }))) print(`${user} may make users`);
  for (const other of users.concat('admin').filter((name) => name !== user)) {
    const theirs = own.getSiblingDB(other === 'admin' ? other : `docket_${other}`);
    if (!refused(() => theirs.things.findOne())) print(`${user} may read what is of ${other}`);
    if (!refused(() => theirs.things.insertOne({}))) print(`${user} may write what is of ${other}`);
  }
}
const stranger = new Mongo(MEMBERS + '/?replicaSet=docket').getDB('docket_auth');
if (!refused(() => stranger.things.findOne())) print('a stranger may read');
print('done');
