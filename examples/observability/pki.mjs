// Three CAs, what they publish, and whoever shows a certificate: all of it made on the spot.
import { execFile } from 'node:child_process'
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { createTestAuthority, createTestPki } from 'mtls-identity/testing'

const hour = 3_600_000
const day = 24 * hour
const fromNow = (milliseconds) => new Date(Date.now() + milliseconds)
/** Some certificates of staff end today, some in a year. */
const left = [12 * hour, 5 * day, 20 * day, 60 * day, 300 * day]

export async function makePki() {
  const staff = await createTestPki({ name: 'Staff' })
  const next = await createTestAuthority({ subject: 'CN=Next CA' })
  const partnersCa = await createTestAuthority({ subject: 'CN=Partners CA', notAfter: fromNow(20 * day) })
  const stranger = await createTestAuthority({ subject: 'CN=Stranger CA' })
  const named = (name, more) => ({ subject: `CN=${name},O=Acme`, ...more })

  const clients = {
    alice: await staff.issue(named('alice')),
    bob: await staff.issue(named('bob')),
    expired: await staff.issue(named('carol', { notBefore: fromNow(-3 * day), notAfter: fromNow(-2 * day) })),
    revoked: await staff.issue(named('erin')),
    frank: await staff.issue(named('frank')),
    ofNextCa: await next.issue(named('grace')),
    stranger: await stranger.issue(named('alice')),
  }
  await writeFile('issuing-ca.pem', staff.intermediate.certificate.pem)
  await writeFile('next-ca.pem', next.certificate.pem)
  await writeFile('partners-ca.pem', partnersCa.certificate.pem)
  await writeFile('partners-ca.key', partnersCa.key.pem, { mode: 0o600 })
  await writeFile('partners.index', '')

  /** Everything that is read again while the application runs. The CRL of the staff's CA ends in an hour. */
  async function publish() {
    const revoked = [{ serialNumber: clients.revoked, reason: 'keyCompromise' }]
    await exchange('staff-ca.pem', staff.trust)
    await exchange('root.crl', (await staff.root.crl()).pem)
    await exchange('issuing.crl', (await staff.crl({ revoked, nextUpdate: fromNow(hour) })).pem)
    await exchange('next.crl', (await next.crl()).pem)
  }
  await publish()

  return {
    clients,
    server: await staff.server(),
    serversCa: staff.trust,
    publish,
    /** As a script does that was interrupted. */
    spoil: (...names) => Promise.all(names.map((name) => exchange(name, '-----BEGIN CERTIFICATE-----\n'))),
    newcomer: (round) => {
      const validity = { notBefore: fromNow(-15 * day), notAfter: fromNow(left[round % left.length]) }
      // After a while they come again, with another key.
      return staff.issue(named(`newcomer-${round % 12}`, validity))
    },
    partner: async (round) => {
      const credential = await partnersCa.issue({ subject: `CN=partner-${round}` })
      const { serialNumber } = credential
      // Of every fifth the CA does not know anything: nobody is let in on that.
      const entry = ['V', '491231235959Z', '', serialNumber, 'unknown', `/CN=partner-${round}`]
      if (round % 5 !== 4) await appendFile('partners.index', `${entry.join('\t')}\n`)
      return credential
    },
    respond,
  }
}

/** By renaming, so that nobody reads the half of it. */
async function exchange(name, text) {
  await writeFile(`${name}.new`, text)
  await rename(`${name}.new`, name)
}

/** RFC 6960 §4.2.1: OCSPResponse of the status tryLater (3), which says nothing about anybody. */
const tryLater = Buffer.from('30030a0103', 'hex')
let questions = 0

/** An OCSP responder, by `openssl ocsp`; without it, one that is always too busy. */
async function respond(request, response) {
  const [question, answer] = ['reqin', 'respout'].map((name) => `ocsp-${questions}.${name}`)
  questions++
  response.setHeader('Content-Type', 'application/ocsp-response')
  try {
    await writeFile(question, Buffer.concat(await request.toArray()))
    const ca = ['-CA', 'partners-ca.pem', '-rsigner', 'partners-ca.pem', '-rkey', 'partners-ca.key']
    const files = ['-index', 'partners.index', '-reqin', question, '-respout', answer, '-nmin', '5']
    await promisify(execFile)('openssl', ['ocsp', ...ca, ...files])
    response.end(await readFile(answer))
  } catch {
    response.end(tryLater)
  } finally {
    await Promise.all([question, answer].map((name) => rm(name, { force: true })))
  }
}
