// Certification paths: the targets of T1 to T4, T8, T12 and T13.
import { X509Certificate } from 'node:crypto'
import { createAuthenticator, TrustStore } from 'mtls-identity'
import { validateCertificationPath } from 'mtls-identity/path'
import { createTestAuthority } from 'mtls-identity/testing'
import { DerReader } from '../../dist/esm/der/reader.js'
import { toIdentity } from '../../dist/esm/identity/identity.js'
import { IssuerMemory } from '../../dist/esm/path/issuer-memory.js'
import { resolveProfile } from '../../dist/esm/path/profile.js'
import { RememberedPath } from '../../dist/esm/path/remembered-path.js'
import { verifiedPaths } from '../../dist/esm/path/verified-paths.js'
import { TrustSnapshot } from '../../dist/esm/trust/trust-snapshot.js'
import { Certificate } from '../../dist/esm/x509/certificate.js'
import { DistinguishedName } from '../../dist/esm/x509/name.js'
import {
  createAnchors,
  createChain,
  createConstrained,
  createMesh,
  createNamesakes,
  element,
  toPem,
  verification,
} from './fixtures.mjs'
import { nodeLoop, peculiarBuilder, peculiarParse, pkijsEngine, pkijsParse } from './peers.mjs'

const nodeMajor = Number(process.versions.node.split('.')[0])
const profile = resolveProfile('strict')
const snapshotOf = (...ders) => new TrustSnapshot(ders.map((der) => ({ certificate: Certificate.parse(der) })))

const memoized = (make) => {
  const made = new Map()
  return (key) => made.get(key) ?? made.set(key, make(key)).get(key)
}
const leafCount = 256
const chainOf = memoized((keyAlgorithm) => createChain(keyAlgorithm, keyAlgorithm === 'P-256' ? leafCount : 1))

const twoVerifications = memoized(async (keyAlgorithm) => {
  const { leaf, intermediate, root } = await chainOf(keyAlgorithm)
  const [first, second] = [
    verification(leaf, intermediate, keyAlgorithm),
    verification(intermediate, root, keyAlgorithm),
  ]
  return () => first() && second()
})

/** One signature, the unit of what an adversary can make us spend. */
const oneVerification = memoized(async () => {
  const { leaf, intermediate } = await chainOf('P-256')
  return verification(leaf, intermediate, 'P-256')
})

/**
 * What an authenticator does for a certificate it does not remember, up to the path: parse, unless known, and search. The snapshot stays, so
 * that the anchor's key is imported once.
 */
function search(leaf, intermediates, trust, memory) {
  const endEntity = Certificate.parse(leaf, 0)
  const presented = intermediates.map((der, i) => memory?.recall(der) ?? Certificate.parse(der, i + 1))
  return verifiedPaths(endEntity, trust, memory ? { presented, memory } : { presented }, profile, Date.now()).next()
}

/** The same where the outcome is known beforehand; what it is becomes the row's note. */
function adversary(leaf, intermediates, trust) {
  const operation = () => {
    try {
      const { value, done } = search(leaf, intermediates, trust)
      return done ? refusal(value) : 'accepted'
    } catch (error) {
      return refusal(error)
    }
  }
  return { ours: operation, note: operation() }
}

const refusal = ({ code, detail }) => `${code.replace('ERR_CLIENT_CERT_', '')} ${detail.limit ?? ''}`.trim()

function expectValid(operation) {
  const result = operation()
  if (result.done) throw result.value
  return operation
}

async function parsing() {
  const { leaf, intermediate, root } = await chainOf('P-256')
  const [issuer, anchor] = [Certificate.parse(intermediate), { certificate: Certificate.parse(root) }]
  const identify = () => {
    const certificate = Certificate.parse(leaf, 0)
    return toIdentity(
      new RememberedPath({ certificates: [certificate, issuer], anchor, notAfter: certificate.notAfter, policies: [] }),
      'tls',
    )
  }
  const native = () => new X509Certificate(leaf)
  return [
    { name: 'parse: every field and extension', ours: () => Certificate.parse(leaf, 0), floor: native },
    {
      name: 'parse, identity, every field read',
      ours: () => readEveryField(identify()),
      floor: native,
      peers: {
        'X509Certificate with fields': () => readNative(native()),
        '@peculiar/x509': peculiarParse(leaf),
        pkijs: pkijsParse(leaf),
      },
      ...(nodeMajor >= 22 ? { atMost: 0.5 } : { atMost: 0.1 }),
    },
    {
      name: '… and the octets: DER copied, PEM written',
      ours: () => {
        const identity = identify()
        return readEveryField(identity) + identity.certificate.pem
      },
      floor: native,
    },
  ]
}

function readEveryField(identity) {
  const { names, subject, issuer } = identity
  const parts = [identity.fingerprint, identity.x5tS256, identity.publicKeyPin, identity.serialNumber, identity.via]
  parts.push(subject.toString(), issuer.toString(), subject.get('CN'), identity.spiffeId?.path)
  parts.push(...names.dns, ...names.uri, ...names.email, ...names.ip, ...names.upn, names.directory.length)
  parts.push(identity.notBefore.getTime(), identity.notAfter.getTime(), identity.policies.length)
  parts.push(identity.chain.length, identity.anchor.name, identity.principal)
  return parts.length
}

function readNative(certificate) {
  const { subject, issuer, subjectAltName, serialNumber, fingerprint256, validFrom, validTo, keyUsage } = certificate
  return [subject, issuer, subjectAltName, serialNumber, fingerprint256, validFrom, validTo, keyUsage].length
}

const unknownTargets =
  nodeMajor >= 22 ? { 'P-256': 1.5, 'RSA-2048': 2.2, 'RSA-4096': 1.35, Ed25519: 1.35, 'P-384': 1.1 } : { 'P-256': 2.3 }

async function unknownIntermediate() {
  const rows = []
  for (const keyAlgorithm of ['P-256', 'P-384', 'RSA-2048', 'RSA-4096', 'Ed25519']) {
    const chain = await chainOf(keyAlgorithm)
    const trust = snapshotOf(chain.root)
    const floor = await twoVerifications(keyAlgorithm)
    const memory = new IssuerMemory()
    const input = { certificate: chain.leaf, intermediates: [chain.intermediate], trustAnchors: [chain.root] }
    rows.push(
      {
        name: `${keyAlgorithm}: search, anchor preloaded`,
        ours: expectValid(() => search(chain.leaf, [chain.intermediate], trust, memory)),
        floor,
        peers: { 'X509Certificate loop': nodeLoop(chain) },
        atMost: unknownTargets[keyAlgorithm],
      },
      {
        name: `${keyAlgorithm}: validateCertificationPath`,
        ours: () => validateCertificationPath({ ...input, at: new Date() }),
        floor,
      },
    )
  }
  return rows
}

async function knownIntermediate() {
  const { leaves, intermediate, root, rootPem } = await chainOf('P-256')
  const floor = await twoVerifications('P-256')
  const trust = snapshotOf(root)
  const memory = new IssuerMemory()
  memory.remember(search(leaves[0], [intermediate], trust, memory).value)
  let next = 0
  const nextLeaf = () => leaves[next++ % leafCount]
  // A checker whose generation rises makes every decision anew, so that no leaf is remembered; issuers are.
  let generation = 0
  const revocation = {
    name: 'nothing is revoked',
    get generation() {
      return generation
    },
    check: () => ({ status: 'good' }),
  }
  const authenticator = createAuthenticator({ trust: rootPem, revocation, log: false })
  const authenticate = (certificate) => {
    generation++
    return authenticator.authenticateChain({ certificate, intermediates: [intermediate], via: 'tls' })
  }
  const decision = await authenticate(leaves[0])
  if (decision.outcome !== 'accepted') throw decision.error
  return [
    {
      name: 'P-256: search, intermediate sent and remembered',
      ours: expectValid(() => search(nextLeaf(), [intermediate], trust, memory)),
      floor,
      atMost: 0.6,
    },
    {
      name: 'P-256: search, intermediate remembered, not sent',
      ours: expectValid(() => search(nextLeaf(), [], trust, memory)),
      floor,
      atMost: 0.6,
    },
    { name: 'P-256: whole decision of an authenticator', ours: () => authenticate(nextLeaf()), floor },
  ]
}

async function peers() {
  const chain = await chainOf('P-256')
  const trust = snapshotOf(chain.root)
  const input = { certificate: chain.leaf, intermediates: [chain.intermediate], trustAnchors: [chain.root] }
  const others = { pkijs: pkijsEngine(chain), '@peculiar/x509': peculiarBuilder(chain) }
  return [
    {
      name: 'P-256: search, anchor preloaded',
      ours: () => search(chain.leaf, [chain.intermediate], trust),
      peers: others,
      faster: 20,
    },
    {
      name: 'P-256: validateCertificationPath',
      ours: () => validateCertificationPath({ ...input, at: new Date() }),
      peers: others,
      faster: 20,
    },
  ]
}

async function meshes() {
  const floor = await oneVerification()
  const { root, leaf, crossCertificates, reach } = await createMesh(12)
  const stranger = snapshotOf((await createTestAuthority()).certificate.der)
  const trust = snapshotOf(root)
  const [first, last] = [await reach(0), await reach(11)]
  const four = await createMesh(4)
  const namesakes = await createNamesakes(15)
  const row = (name, intermediates, anchors, endEntity = leaf) => ({
    name,
    ...adversary(endEntity, intermediates, anchors),
    floor,
    atMost: 40,
  })
  return [
    {
      name: 'parse the 132 certificates alone',
      ours: () => crossCertificates.map((der) => Certificate.parse(der)),
      floor,
    },
    row('132 cross-certificates, no root', crossCertificates, stranger),
    row('12 of 4 members, no root: fewer than a peer may send', four.crossCertificates, stranger, four.leaf),
    row('15 strangers of the anchor’s name', namesakes.others, snapshotOf(namesakes.root), namesakes.leaf),
    row('132 and the root’s for the leaf’s issuer, last', [...crossCertificates, first], trust),
    row('132 and the root’s for another member, first', [last, ...crossCertificates], trust),
    row('132 and the root’s for another member, last', [...crossCertificates, last], trust),
  ]
}

const range = (count, make) => Array.from({ length: count }, (_, i) => make(i))
const dns = (text) => element(0x82, text)

async function nameConstraints() {
  const verifyOne = await oneVerification()
  const authority = await createTestAuthority()
  const trust = snapshotOf(authority.certificate.der)
  const make = async (names, subtrees) => {
    const { leaf, intermediate } = await createConstrained(authority, names, subtrees)
    const { ours, note } = adversary(leaf, [intermediate], trust)
    const parse = () => [Certificate.parse(leaf), Certificate.parse(intermediate)]
    return { ours, parse, note: `${note}; leaf ${leaf.length} octets` }
  }
  const hosts = (count) => [range(count, (i) => dns(`h${i}.d${i}.example`)), range(count, (i) => dns(`d${i}.example`))]
  const half = await make(...hosts(500))
  const full = await make(...hosts(1_000))
  const deepName = (i) => dns(`${'a.'.repeat(120)}d${i}.example`)
  const deep = await make(
    range(124, deepName),
    range(1_000, (i) => dns(`d${i}.example`)),
  )
  const address = (i) => Buffer.from([0x20, 1, 0xd, 0xb8, ...new Uint8Array(10), i >> 8, i & 0xff])
  const mask = (prefix) => Buffer.from(range(16, (i) => 0xff & (0xff00 >> Math.max(0, Math.min(8, prefix - 8 * i)))))
  // Only the last network, which is everything, holds the addresses: each is looked up under every prefix length first.
  const networks = [...range(127, (i) => i + 2), 0].map((prefix) => element(0x87, mask(prefix), mask(prefix)))
  const addresses = await make(
    range(1_000, (i) => element(0x87, address(i))),
    networks,
  )
  return [
    { name: '1,000 names × 1,000 constraints', ours: full.ours, floor: verifyOne, atMost: 50, note: full.note },
    { name: '… parsing alone', ours: full.parse, floor: verifyOne },
    { name: '1,000 × 1,000 against 500 × 500', ours: full.ours, floor: half.ours, atMost: 2.2 },
    {
      name: '124 names of 122 labels × 1,000 constraints',
      ours: deep.ours,
      floor: verifyOne,
      atMost: 50,
      note: deep.note,
    },
    {
      name: '1,000 IPv6 addresses × 128 prefix lengths',
      ours: addresses.ours,
      floor: verifyOne,
      atMost: 50,
      note: addresses.note,
    },
    { name: '… parsing alone', ours: addresses.parse, floor: verifyOne },
  ]
}

const tenants = memoized(() => createAnchors(10_000))

async function loading() {
  const blocks = (await tenants()).map(toPem)
  const text = blocks.join('')
  // What a process trusts meanwhile: V8 forgets what it knows of objects of which garbage collection leaves none.
  const inUse = TrustStore.parse(blocks[0]).current()
  return [
    {
      name: '10,000 anchors: TrustStore.parse of PEM (per anchor)',
      ours: () => TrustStore.parse(text).current().anchors.length - inUse.anchors.length,
      per: blocks.length,
      floor: () => blocks.map((pem) => new X509Certificate(pem)).length,
      floorPer: blocks.length,
      atMost: 0.1,
    },
  ]
}

async function lookups() {
  const anchors = await tenants()
  const parsed = anchors.map((der) => Certificate.parse(der))
  // Side by side in memory, so that only what is looked up lies far apart.
  const names = compact(anchors.map(nameOf))
  const identifiers = compact(parsed.map(({ extensions }) => extensions.subjectKeyIdentifier))
  // A leaf's issuer is read from its own octets: nothing of the name is known before it is looked up, whose spelling no other lookup has.
  const spelt = (count) => compact(names.map((_, i) => spelling(names[i % count], i)))
  const readName = (octets) => DistinguishedName.read(new DerReader(octets))
  const lookUp = (count) => {
    const trust = new TrustSnapshot(parsed.slice(0, count).map((certificate) => ({ certificate })))
    const spellings = spelt(count)
    let next = 0
    return () => {
      next = (next + 7_919) % spellings.length
      const name = readName(spellings[next])
      const found = trust.byKeyIdentifier(name, identifiers[next % count])
      return found.length + trust.bySubject(name).length
    }
  }
  const others = spelt(names.length)
  let next = 0
  const nameAlone = () => {
    next = (next + 7_919) % others.length
    return readName(others[next]).comparisonKey
  }
  const [few, many, most] = [10, 1_000, 10_000].map(lookUp)
  for (let i = 0; i < names.length; i++) {
    if (few() !== 2 || many() !== 2 || most() !== 2) throw new Error('lookup: the fixture is not found')
  }
  return [
    { name: 'read a name and prepare it for comparison, no lookup', ours: nameAlone },
    { name: 'the same, looked up by name and key identifier among 10', ours: few },
    { name: '… among 1,000; floor: among 10', ours: many, floor: few, atMost: 2 },
    { name: '… among 10,000; floor: among 10', ours: most, floor: few, atMost: 2 },
  ]
}

/** The same name under RFC 5280 §7.1 in other capitals: bit n of `number` is the case of the nth letter of its last value. */
function spelling(name, number) {
  const octets = Buffer.from(name)
  const value = octets.lastIndexOf('Tenant authority')
  const letters = [...'Tenant authority'].flatMap((letter, i) => (letter === ' ' ? [] : [value + i]))
  for (const [bit, at] of letters.entries()) if ((number >> bit) & 1) octets[at] ^= 0x20
  return octets
}

function compact(parts) {
  const block = Buffer.concat(parts)
  let at = 0
  return parts.map(({ length }) => {
    at += length
    return block.subarray(at - length, at)
  })
}

/** The issuer's Name, whole. */
function nameOf(der) {
  const tbs = new DerReader(der).enter().enter()
  for (const _ of ['version', 'serialNumber', 'signature']) tbs.next()
  return tbs.element()
}

export const tables = [
  { title: '1. Leaf to identity; floor: new X509Certificate(der)', rows: parsing },
  { title: '2. Unknown intermediate; floor: two node:crypto.verify', rows: unknownIntermediate },
  { title: '3. Known intermediate, another leaf each time; floor: two node:crypto.verify', rows: knownIntermediate },
  { title: '4. Peers', rows: peers },
  { title: '5a. Cross-certified mesh; floor: one node:crypto.verify P-256', rows: meshes },
  { title: '5b. Name constraints; floor: one node:crypto.verify P-256 unless said', rows: nameConstraints },
  // The floor leaves 10,000 native objects, and to free them takes as long as ours takes to load.
  { title: '6a. Large trust store; floor: new X509Certificate(pem)', rows: loading, rounds: 5, collect: true },
  { title: '6b. Issuer lookup', rows: lookups },
]
