// CRLs: the targets of T9. Entries have 38.5 octets on average: a 16-octet serial number, a UTCTime, and every fourth a reason code.
import { createHash, createPrivateKey, randomFillSync, sign } from 'node:crypto'
import { createTestAuthority } from 'mtls-identity/testing'
import * as pkijs from 'pkijs'
import { resolveProfile } from '../../dist/esm/path/profile.js'
import { verifySignedInSlices } from '../../dist/esm/path/signature.js'
import { indexEntries, indexEntriesNow } from '../../dist/esm/revocation/crl-index.js'
import { nextTurn } from '../../dist/esm/revocation/next-turn.js'
import { Certificate } from '../../dist/esm/x509/certificate.js'
import { CertificateRevocationList } from '../../dist/esm/x509/crl.js'
import { element } from './fixtures.mjs'
import { peculiarCrl, pkijsCrl } from './peers.mjs'

const profile = resolveProfile('strict')
const sequence = (...contents) => element(0x30, ...contents)
const serialOctets = 16
const reason = Buffer.from('300c300a0603551d1504030a0101', 'hex')

/** Entry after entry. No library writes a million of them in a time anyone would wait for. */
function forgeEntries(serials) {
  const count = serials.length / serialOctets
  const date = element(0x17, '260102030405Z')
  const shapes = [Buffer.alloc(0), reason].map((extensions) => {
    const shape = sequence(element(0x02, Buffer.alloc(serialOctets)), date, extensions)
    return { shape, serial: 4 }
  })
  const entries = Buffer.alloc(count * shapes[1].shape.length)
  let at = 0
  for (let n = 0; n < count; n++) {
    const { shape, serial } = shapes[n % 4 === 0 ? 1 : 0]
    shape.copy(entries, at)
    serials.copy(entries, at + serial, n * serialOctets, (n + 1) * serialOctets)
    at += shape.length
  }
  return entries.subarray(0, at)
}

/** Positive numbers of 16 octets, one behind the other. */
function randomSerials(count) {
  const serials = randomFillSync(Buffer.alloc(count * serialOctets))
  for (let at = 0; at < serials.length; at += serialOctets) serials[at] = 0x40 | (serials[at] & 0x3f)
  return serials
}

async function forge(count) {
  const authority = await createTestAuthority({ subject: 'CN=Acme Client CA 1,O=Acme GmbH,C=DE' })
  const serials = randomSerials(count)
  const algorithm = sequence(element(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const number = sequence(element(0x06, Buffer.from('551d14', 'hex')), element(0x04, element(0x02, Buffer.of(1))))
  const times = ['260101000000Z', '360101000000Z'].map((time) => element(0x17, time))
  const tbs = sequence(
    element(0x02, Buffer.of(1)),
    algorithm,
    authority.subjectDer,
    ...times,
    sequence(forgeEntries(serials)),
    element(0xa0, sequence(number)),
  )
  const signature = sign('sha256', tbs, createPrivateKey(authority.key.pem))
  const der = sequence(tbs, algorithm, element(0x03, Buffer.of(0), signature))
  return { der, serials, issuer: Certificate.parse(authority.certificate.der) }
}

/**
 * The longest turn of the event loop while something is done, in milliseconds: by the clock, and of the processor's time, in which other
 * processes have no part. The median of several times.
 */
async function longestTurns(work) {
  const turns = []
  for (let time = 0; time < 5; time++) {
    const longest = { wall: 0, cpu: 0 }
    let [last, used] = [performance.now(), process.cpuUsage()]
    let isDone = false
    const watch = () => {
      const { user, system } = process.cpuUsage(used)
      longest.wall = Math.max(longest.wall, performance.now() - last)
      longest.cpu = Math.max(longest.cpu, (user + system) / 1000)
      ;[last, used] = [performance.now(), process.cpuUsage()]
      if (!isDone) setImmediate(watch)
    }
    setImmediate(watch)
    await work()
    isDone = true
    turns.push(longest)
    await nextTurn()
  }
  const median = (kind) => turns.map((turn) => turn[kind]).sort((a, b) => a - b)[2]
  return { wall: median('wall'), cpu: median('cpu') }
}

/** Some serial numbers of a list, from all over it: side by side, so that only what is looked up lies far apart. */
function sample(serials, count) {
  const some = Buffer.alloc(count * serialOctets)
  for (let n = 0, at = 0; n < count; n++) {
    at = (at + 7_919 * serialOctets) % serials.length
    serials.copy(some, n * serialOctets, at, at + serialOctets)
  }
  return some
}

/** Asks for one serial number after the other: more of them than a cache remembers the entries of. */
function lookups(index, { subject }, serials, expected) {
  const asked = 1_024
  let next = 0
  const operation = () => {
    let found = 0
    for (let n = 0; n < asked; n++) {
      if (index.find(serials.subarray(next, next + serialOctets), subject) !== undefined) found++
      next = (next + serialOctets) % serials.length
    }
    return found
  }
  if (operation() !== expected * asked) throw new Error('lookup: not what the fixture has')
  return { ours: operation, per: asked, within: 1 }
}

const rowsFor = (count, target) => async () => {
  const { der, serials, issuer } = await forge(count)
  const { tbs, entries } = CertificateRevocationList.parse(der)
  const floor = () => createHash('sha256').update(tbs).digest()
  const verify = async () => {
    const crl = CertificateRevocationList.parse(der)
    const { verdict } = await verifySignedInSlices(crl, issuer.publicKey, profile, nextTurn)
    if (verdict !== 'valid') throw new Error('the signature of the fixture is wrong')
    return crl
  }
  const index = await indexEntries(await verify())
  if (index.size !== count) throw new Error('the fixture is not read')
  const both = async () => indexEntries(await verify())
  const { wall, cpu } = await longestTurns(both)
  const octets = `${(index.byteLength / count).toFixed(1)} octets an entry beside ${(entries.length / count).toFixed(1)}`
  const stall = `longest turn ${cpu.toFixed(1)} ms, ${wall.toFixed(1)} by the clock; ≤ 10 ${cpu <= 10 ? 'met' : 'MISSED'}`
  return [
    { name: 'parse, all but the entries', ours: () => CertificateRevocationList.parse(der) },
    { name: 'parse and verify', ours: verify, floor },
    { name: 'index, in slices', ours: () => indexEntries(CertificateRevocationList.parse(der)), floor, note: octets },
    { name: 'index, in one go', ours: () => indexEntriesNow(CertificateRevocationList.parse(der)), floor },
    { name: 'parse, verify and index', ours: both, floor, ...target, note: stall },
    { name: 'find an entry', ...lookups(index, issuer, sample(serials, 65_536), 1) },
    { name: 'find none', ...lookups(index, issuer, randomSerials(65_536), 0) },
  ]
}

async function peers() {
  const { der, serials, issuer } = await forge(1_000)
  const last = serials.subarray(-serialOctets)
  const certificate = new pkijs.Certificate()
  certificate.serialNumber.valueBlock.valueHexView = Uint8Array.from(last)
  const crl = pkijs.CertificateRevocationList.fromBER(der)
  certificate.issuer = crl.issuer
  const others = {
    '@peculiar/x509': peculiarCrl(der, last.toString('hex')),
    pkijs: pkijsCrl(der, certificate),
  }
  if (!Object.values(others).every((find) => find())) throw new Error('peers: the fixture is not found')
  const ours = () => indexEntriesNow(CertificateRevocationList.parse(der)).find(last, issuer.subject)
  if (ours() === undefined) throw new Error('the fixture is not found')
  return [{ name: 'parse, index, find the last entry', ours, peers: others, faster: 20 }]
}

const ofHash = 'floor: SHA-256 of the signed octets'

/** Those of CRLs. */
const crlTables = [
  { title: `CRL, 1,000,000 entries; ${ofHash}`, rows: rowsFor(1_000_000, { atMost: 6 }), rounds: 7 },
  { title: `CRL, 100,000 entries; ${ofHash}`, rows: rowsFor(100_000, { atMost: 3 }) },
  { title: `CRL, 1,000 entries; ${ofHash}`, rows: rowsFor(1_000, {}) },
  { title: 'CRL, 1,000 entries, and other libraries, which refuse 100,000', rows: peers },
]

export const tables = [...crlTables]
