import { hash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import { ClientCertConfigError, deny } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { limits } from '../../src/limits.js'
import { strictProfile } from '../../src/path/profile.js'
import { outcomeLines } from '../../src/rules/outcome.js'
import { judge, type Rule } from '../../src/rules/rule.js'
import { ruleFromText } from '../../src/rules/rule-document.js'
import * as rules from '../../src/rules.js'
import { readKeyFile } from '../../src/server/key-files.js'
import { admit } from '../../src/server/open-connections.js'
import { forwardedHeader } from '../../src/source/forwarded-header.js'
import { HeaderMemory } from '../../src/source/header-memory.js'
import { proxySecret } from '../../src/source/proxy-secret.js'
import { proxyAddress } from '../../src/source/trusted-proxy.js'
import { xfcc } from '../../src/source/xfcc.js'
import { createTestAuthority, createTestPki } from '../../src/testing.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import { Certificate } from '../../src/x509/certificate.js'
import {
  type Attribute,
  certificatePolicies,
  constructed,
  dns,
  extKeyUsage,
  integer,
  name,
  nameConstraints,
  otherName,
  policyMappings,
  purpose,
  sequence,
  tlv,
  utf8,
} from '../support/path-der.js'
import {
  type Forged,
  forge,
  forgePath,
  fromNoon,
  noon,
  pem,
  poolKey,
  validate,
  verdict,
} from '../support/path-forge.js'

const root = forge({ subject: 'Root', key: poolKey(0) })
const some = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** Which limits have a test; the last test compares. */
const reached = new Set<string>()
const limit = (field: keyof typeof limits, sentence: string, run: () => unknown) => {
  reached.add(field)
  test(`limits.${field}: ${sentence}`, async () => {
    await run()
  })
}
const fieldsReached = new Set<string>()
const field = (names: readonly (keyof typeof strictProfile)[], sentence: string, run: () => unknown) => {
  for (const item of names) fieldsReached.add(item)
  test(`profile.${names.join(', ')}: ${sentence}`, async () => {
    await run()
  })
}

describe('one certificate', () => {
  const leaf = (plan: Parameters<typeof forge>[0] = {}) => verdict(forge({ issuer: root, ...plan }), [], [root])
  const foreign = (octets: number) => ({ oid: '1.2.3.4', critical: false, value: new Uint8Array(octets) })

  limit('certificateBytes', 'a certificate of 32,768 octets is read, of one more refused', async () => {
    let padding = 32_000
    const made = () => forge({ issuer: root, extensions: [foreign(padding)], unsigned: true, key: poolKey(1) }).der
    padding += limits.certificateBytes - made().length
    expect(made().length).toBe(limits.certificateBytes)
    expect(Certificate.parse(made()).der.length).toBe(limits.certificateBytes)
    padding++
    expect(await verdict({ ...root, der: made() }, [], [root])).toBe('MALFORMED: longer than 32768 octets')
    // Before anything is read.
    expect(await verdict({ ...root, der: new Uint8Array(1 << 24) }, [], [root])).toBe(
      'MALFORMED: longer than 32768 octets',
    )
  })

  limit('derDepth', 'elements nested as deep as that are read, one deeper refused', async () => {
    const nested = (depth: number) => {
      let value = utf8('x')
      for (let i = 0; i < depth; i++) value = sequence(value)
      return leaf({ names: [otherName('1.2.3', value)] })
    }
    const depths = some(2 * limits.derDepth, (i) => i)
    const verdicts = await Promise.all(depths.map(nested))
    const first = verdicts.findIndex((found) => found !== 'accepted')
    expect(first).toBeGreaterThan(limits.derDepth - 10)
    expect(first).toBeLessThanOrEqual(limits.derDepth + 1)
    expect(new Set(verdicts.slice(first))).toEqual(new Set(['MALFORMED: nesting is too deep']))
  })

  limit('oidBytes', 'an identifier of 128 octets is read, of 129 refused', async () => {
    const identifier = (arcs: number) => `1.2${'.1'.repeat(arcs)}`
    const withPolicy = (arcs: number) => leaf({ extensions: [certificatePolicies([identifier(arcs)])] })
    expect(await withPolicy(limits.oidBytes - 1)).toBe('accepted')
    expect(await withPolicy(limits.oidBytes)).toBe('MALFORMED: OBJECT IDENTIFIER is too long')
  })

  limit('serialNumberBytes', 'a serial number of 20 octets is read, of 21 refused', () => {
    const withSerial = (...octets: number[]) => {
      const { der } = forge({ issuer: root, serial: 1, unsigned: true })
      const text = Buffer.from(der).toString('hex')
      const body = Buffer.from(text.slice(text.indexOf('020101') + 6), 'hex')
      const tbsLength = body.length
      // Version, the other serial number, and what came after; the outer lengths are made anew.
      const rest = body.subarray(0, tbsLength)
      const fields = rest.subarray(0, rest.length - 12 - 4)
      const tbs = sequence(constructed(0, integer(2)), tlv(2, octets), fields)
      return sequence(tbs, rest.subarray(rest.length - 16))
    }
    expect(Certificate.parse(withSerial(...some(20, () => 0x7f))).serialNumber.length).toBe(20)
    expect(Certificate.parse(withSerial(0, ...some(20, () => 0xff))).serialNumber.length).toBe(21)
    const tooLong = expect.objectContaining({
      code: 'ERR_CLIENT_CERT_MALFORMED',
      detail: expect.objectContaining({ reason: 'serialNumber is longer than 20 octets' }),
    })
    expect(() => Certificate.parse(withSerial(...some(21, () => 0x7f)))).toThrow(tooLong as never)
    expect(() => Certificate.parse(withSerial(0, ...some(21, () => 0xff)))).toThrow(tooLong as never)
  })

  limit('extensions', '64 extensions are read, 65 refused', async () => {
    const usual = Certificate.parse(forge({ issuer: root }).der).extensionList.length
    const extra = (count: number) => leaf({ extensions: some(count, (i) => ({ ...foreign(1), oid: `1.2.3.${i}` })) })
    expect(await extra(limits.extensions - usual)).toBe('accepted')
    expect(await extra(limits.extensions - usual + 1)).toBe('MALFORMED: too many extensions')
  })

  limit('extensionEntries', '1,024 names, purposes, policies or subtrees are read, 1,025 refused', async () => {
    const [most, tooMany] = [limits.extensionEntries, limits.extensionEntries + 1]
    expect(await leaf({ names: some(most, (i) => dns(`a${i}`)) })).toBe('accepted')
    expect(await leaf({ names: some(tooMany, (i) => dns(`a${i}`)) })).toBe('MALFORMED: too many names')
    const purposes = (count: number) => leaf({ extensions: [extKeyUsage(some(count, () => purpose.client))] })
    expect(await purposes(most)).toBe('accepted')
    expect(await purposes(tooMany)).toBe('MALFORMED: too many entries')
    const policies = (count: number) => leaf({ extensions: [certificatePolicies(some(count, (i) => `1.2.3.${i}`))] })
    expect(await policies(most)).toBe('accepted')
    expect(await policies(tooMany)).toBe('MALFORMED: too many entries')
    const mappings = (count: number) =>
      leaf({ extensions: [policyMappings(some(count, (i) => ['1.2.3', `1.2.${i}`] as const))] })
    expect(await mappings(most)).toBe('accepted')
    expect(await mappings(tooMany)).toBe('MALFORMED: too many entries')
    const subtrees = (count: number) => {
      const ca = forge({
        issuer: root,
        ca: true,
        extensions: [nameConstraints({ excluded: some(count, (i) => dns(`a${i}`)) })],
      })
      return { ca, parse: () => Certificate.parse(ca.der), found: verdict(forge({ issuer: ca }), [ca], [root]) }
    }
    expect(await subtrees(most).found).toBe('accepted')
    expect(await subtrees(tooMany).found).toMatch(/^MALFORMED: too many subtrees/)
    expect(subtrees(tooMany).parse).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ reason: 'too many subtrees' }) }) as never,
    )
  })

  limit('nameParts', '64 RDNs, or 64 attributes of one, are read, 65 refused', async () => {
    const attributes = (count: number) => some(count, (i): Attribute => ['OU', `unit ${i}`])
    expect(await leaf({ subject: name(...attributes(limits.nameParts)) })).toBe('accepted')
    expect(await leaf({ subject: name(...attributes(limits.nameParts + 1)) })).toBe(
      'MALFORMED: name has too many parts',
    )
    expect(await leaf({ subject: name(attributes(limits.nameParts)) })).toBe('accepted')
    expect(await leaf({ subject: name(attributes(limits.nameParts + 1)) })).toBe('MALFORMED: name has too many parts')
  })
})

describe('one validation', () => {
  /** As many anchors of one name, of which the last one signed. */
  const crowd = (count: number) =>
    some(count, (i) => forge({ subject: 'Crowd', key: poolKey(30 + i), omit: ['2.5.29.14'] }))
  const fromLast = (anchors: readonly Forged[]) =>
    forge({ issuer: anchors.at(-1) as Forged, omit: ['2.5.29.35'], key: poolKey(1) })

  limit('signatures', '32 signatures are verified, not 33', async () => {
    const anchors = crowd(limits.signatures)
    expect(await verdict(fromLast(anchors), [], anchors)).toBe('accepted')
    const more = crowd(limits.signatures + 1)
    expect(await verdict(fromLast(more), [], more)).toBe('BUDGET: signatures (profile.maxSignatures)')
  })

  field(['maxSignatures'], 'one of less is one less', async () => {
    const anchors = crowd(3)
    expect(await verdict(fromLast(anchors), [], anchors, { maxSignatures: 3 })).toBe('accepted')
    const result = await validate(fromLast(anchors), [], anchors, { maxSignatures: 2 })
    expect(result).toMatchObject({
      valid: false,
      error: {
        code: 'ERR_CLIENT_CERT_BUDGET',
        status: 403,
        detail: { limit: 'signatures (profile.maxSignatures)', maximum: 2 },
      },
    })
    expect(!result.valid && result.error.help).toMatch(/validation stopped at 2 signatures/)
  })

  /** Layers of CAs of one name each, so that every one of a layer may have issued every one of the layer below. The anchor above has ended. */
  const nowhere = () => forge({ subject: 'Nowhere', key: poolKey(2), ca: true, notAfter: fromNoon(-60) })
  function labyrinth(layers: number, width: number): Forged[] {
    const made: Forged[][] = [[nowhere()]]
    for (let layer = 0; layer < layers; layer++) {
      const issuer = (made.at(-1) as Forged[])[0] as Forged
      made.push(
        some(width, (i) => forge({ issuer, ca: true, subject: `Layer ${layer}`, key: poolKey(3 + layer * width + i) })),
      )
    }
    return made.slice(1).flat()
  }

  limit('buildSteps', 'a labyrinth ends after 1,000 candidates, without one signature', async () => {
    const steps = async (layers: number, width: number, maxBuildSteps?: number) => {
      const maze = labyrinth(layers, width)
      const leaf = forge({ issuer: maze.at(-1) as Forged, key: poolKey(1) })
      const started = performance.now()
      const found = await verdict(leaf, maze, [nowhere()], {
        maxSignatures: 0,
        ...(maxBuildSteps && { maxBuildSteps }),
      })
      expect(performance.now() - started).toBeLessThan(1_000)
      return found
    }
    // 4 + 4² + … + 4⁴ = 340 issuers, and the anchor for each of the 256 paths; one layer more is 1,364 + 1,024.
    expect(await steps(4, 4)).toMatch(/^EXPIRED/)
    expect(await steps(5, 4)).toBe('BUDGET: candidate issuers (profile.maxBuildSteps)')
    expect(await steps(5, 4, 2_388)).toMatch(/^EXPIRED/)
    expect(await steps(5, 4, 2_387)).toBe('BUDGET: candidate issuers (profile.maxBuildSteps)')
  })

  field(['maxBuildSteps'], 'anchors count as well', async () => {
    const anchors = crowd(5)
    expect(await verdict(fromLast(anchors), [], anchors, { maxBuildSteps: 5 })).toBe('accepted')
    expect(await verdict(fromLast(anchors), [], anchors, { maxBuildSteps: 4 })).toBe(
      'BUDGET: candidate issuers (profile.maxBuildSteps)',
    )
  })

  test('P-12: a hundred intermediates, alike in name, in key, in both or in neither, end early', async () => {
    for (const [sameName, sameKey] of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ] as const) {
      const made: Forged[] = [root]
      for (let i = 0; i < 100; i++) {
        const subject = sameName ? 'Same' : `Name ${i}`
        made.push(forge({ issuer: made.at(-1) as Forged, ca: true, subject, key: poolKey(sameKey ? 1 : 3 + i) }))
      }
      const leaf = forge({ issuer: made.at(-1) as Forged, key: poolKey(2) })
      const started = performance.now()
      expect(await verdict(leaf, made.slice(1), [root])).toMatch(/^(BUDGET|SIGNATURE|UNKNOWN_ISSUER|BASIC|accepted)/)
      expect(performance.now() - started).toBeLessThan(1_000)
    }
  })

  test('P-11: CAs that certify each other in a circle are no path, and no hindrance to one', async () => {
    const [a, b] = [forge({ subject: 'A', key: poolKey(3) }), forge({ subject: 'B', key: poolKey(4) })]
    const ofA = forge({ issuer: b, ca: true, subject: 'A', key: a.key })
    const ofB = forge({ issuer: a, ca: true, subject: 'B', key: b.key })
    const leaf = forge({ issuer: a, key: poolKey(1) })
    expect(await verdict(leaf, [ofA, ofB], [root])).toMatch(/^UNKNOWN_ISSUER/)
    const out = forge({ issuer: root, ca: true, subject: 'B', key: b.key })
    expect(await verdict(leaf, [ofA, ofB, out], [root])).toBe('accepted')
  })

  limit('nameComparisons', 'names are compared with the constraints of 50,000 CAs at most', async () => {
    const permitted = [dns('a')]
    const extensions = [nameConstraints({ permitted })]
    /** Several certificates for one CA, so many paths; below it nine more CAs, each with constraints, and 1,024 names. */
    const paths = async (count: number, profile = {}) => {
      const tops = some(count, () => forge({ issuer: root, ca: true, subject: 'Top', key: poolKey(1), extensions }))
      const plans = some(9, (i) => ({ ca: true, subject: `CA ${i}`, key: poolKey(3 + i), extensions }))
      const chain = forgePath(tops[0] as Forged, ...plans)
      const leaf = forge({
        issuer: chain.at(-1) as Forged,
        key: poolKey(2),
        names: some(1_023, (i) => dns(`${i}.a`)),
        omit: ['2.5.29.37'],
      })
      return verdict(leaf, [...tops, ...chain], [root], profile)
    }
    // A path is 10 CAs × (1,023 names and the subject), and 45 for the subjects of the CAs: 10,285.
    expect(await paths(4)).toBe('KEY_USAGE')
    expect(await paths(5)).toBe('BUDGET: name comparisons (profile.maxNameComparisons)')
    expect(await paths(5, { maxNameComparisons: 5 * 10_285 })).toBe('KEY_USAGE')
  })

  field(['maxNameComparisons'], 'each name counts once for each CA with constraints', async () => {
    const ca = forge({ issuer: root, ca: true, extensions: [nameConstraints({ permitted: [dns('a')] })] })
    const leaf = forge({ issuer: ca, names: [dns('x.a'), dns('y.a')] })
    expect(await verdict(leaf, [ca], [root], { maxNameComparisons: 3 })).toBe('accepted')
    expect(await verdict(leaf, [ca], [root], { maxNameComparisons: 2 })).toBe(
      'BUDGET: name comparisons (profile.maxNameComparisons)',
    )
    const free = forge({ issuer: root, ca: true })
    expect(await verdict(forge({ issuer: free, names: [dns('x.a')] }), [free], [root], { maxNameComparisons: 0 })).toBe(
      'accepted',
    )
  })

  limit('policyNodes', 'a graph of 2,048 nodes is built, not of 2,049', async () => {
    const policies = (count: number) => [certificatePolicies(some(count, (i) => `1.2.3.${i}`))]
    const path = async (first: number, second: number) => {
      const made = forgePath(
        root,
        { ca: true, subject: 'A', extensions: policies(1_024) },
        { ca: true, subject: 'B', extensions: policies(first) },
        { extensions: policies(second) },
      )
      return verdict(made.at(-1) as Forged, made.slice(0, -1), [root])
    }
    expect(await path(1_023, 1)).toBe('accepted')
    expect(await path(1_023, 2)).toBe('BUDGET: policy nodes (profile.maxPolicyNodes)')
  })

  field(['maxPolicyNodes'], 'a path without policies needs none', async () => {
    const leaf = (policies: string[]) =>
      verdict(
        forge({ issuer: root, extensions: policies.length === 0 ? [] : [certificatePolicies(policies)] }),
        [],
        [root],
        {
          maxPolicyNodes: policies.length === 0 ? 0 : 1,
        },
      )
    expect(await leaf([])).toBe('accepted')
    expect(await leaf(['1.2.3'])).toBe('accepted')
    expect(await leaf(['1.2.3', '1.2.4'])).toBe('BUDGET: policy nodes (profile.maxPolicyNodes)')
  })

  const chainOf = (length: number) =>
    forgePath(root, ...some(length, (i) => ({ ca: true, subject: `CA ${i}`, key: poolKey(3 + i) })), {
      key: poolKey(1),
    })

  limit('intermediates', 'ten intermediates are a path, eleven are not', async () => {
    const through = (made: Forged[]) => verdict(made.at(-1) as Forged, made.slice(0, -1), [root])
    expect(await through(chainOf(limits.intermediates))).toBe('accepted')
    expect(await through(chainOf(limits.intermediates + 1))).toBe('BUDGET: intermediates (profile.maxIntermediates)')
  })

  field(['maxIntermediates'], 'self-issued ones do not count, as for pathLenConstraint', async () => {
    const made = chainOf(2)
    const through = (path: Forged[], maxIntermediates: number) =>
      verdict(path.at(-1) as Forged, path.slice(0, -1), [root], { maxIntermediates })
    expect(await through(made, 2)).toBe('accepted')
    expect(await through(made, 1)).toBe('BUDGET: intermediates (profile.maxIntermediates)')
    const rolled = forgePath(
      root,
      { ca: true, subject: 'CA', key: poolKey(3) },
      { ca: true, subject: 'CA', key: poolKey(4) },
      { key: poolKey(1) },
    )
    expect(await through(rolled, 1)).toBe('accepted')
    expect(await through(rolled, 0)).toBe('BUDGET: intermediates (profile.maxIntermediates)')
    // At the end of what may be counted, too: an anchor that got a new key.
    const renewed = forge({ ca: true, subject: root.subject, issuer: root, key: poolKey(5) })
    const below = [renewed, ...forgePath(renewed, { ca: true, subject: 'CA', key: poolKey(3) }, { key: poolKey(1) })]
    expect(await through([renewed, forge({ issuer: renewed })], 0)).toBe('accepted')
    expect(await through(below, 1)).toBe('accepted')
    expect(await through(below, 0)).toBe('BUDGET: intermediates (profile.maxIntermediates)')
    const direct = forge({ issuer: root })
    expect(await through([direct], 0)).toBe('accepted')
  })

  test('P-19: a signature by a stranger costs nothing that comes after signatures', async () => {
    const ca = forge({
      issuer: root,
      signer: poolKey(9),
      ca: true,
      key: poolKey(3),
      extensions: [nameConstraints({ permitted: [dns('a')] }), certificatePolicies(['1.2.3'])],
    })
    const leaf = forge({ issuer: ca, names: [dns('x.a')] })
    const budget = { maxNameComparisons: 0, maxPolicyNodes: 0, maxSignatures: 1 }
    expect(await verdict(leaf, [ca], [root], budget)).toBe('SIGNATURE')
    const honest = forge({
      issuer: root,
      ca: true,
      key: poolKey(3),
      extensions: [nameConstraints({ permitted: [dns('a')] })],
    })
    expect(
      await verdict(forge({ issuer: honest, names: [dns('x.a')] }), [honest], [root], { ...budget, maxSignatures: 2 }),
    ).toBe('BUDGET: name comparisons (profile.maxNameComparisons)')
  })
})

describe('keys', () => {
  field(
    ['minimumRsaBits', 'maximumRsaBits', 'minimumRsaExponent', 'maximumRsaExponent'],
    'refuse the key beyond them',
    async () => {
      const ca = await createTestAuthority({ keyAlgorithm: 'RSA-2048', now: noon })
      const { der } = (await ca.issue({ keyAlgorithm: 'P-256' })).certificate
      const asForged = (octets: Uint8Array): Forged => ({ ...root, der: octets })
      const found = (profile: object) => verdict(asForged(der), [], [asForged(ca.certificate.der)], profile)
      expect(await found({})).toBe('accepted')
      expect(await found({ minimumRsaBits: 2048, maximumRsaBits: 2048 })).toBe('accepted')
      expect(await found({ minimumRsaBits: 2049 })).toBe('WEAK_KEY: minimum is 2049')
      expect(await found({ maximumRsaBits: 2047 })).toBe('WEAK_KEY: maximum is 2047')
      expect(await found({ minimumRsaExponent: 65_537, maximumRsaExponent: 65_537 })).toBe('accepted')
      expect(await found({ minimumRsaExponent: 65_538 })).toBe('WEAK_KEY: its exponent is 65537, minimum is 65538')
      expect(await found({ maximumRsaExponent: 65_536 })).toBe('WEAK_KEY: its exponent is above 65536')
    },
  )
})

describe('what a peer sends', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-budgets-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** A request of a trusted proxy with these header fields. */
  function request(fields: Record<string, string>): IncomingMessage {
    const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: '10.0.0.1' })
    const rawHeaders = Object.entries(fields).flat()
    return { rawHeaders, headers: fields, socket, method: 'GET', url: '/' } as unknown as IncomingMessage
  }
  const proxied = () =>
    createAuthenticator({
      trust: root.der,
      revocation: 'none',
      log: false,
      now: () => noon.getTime(),
      source: forwardedHeader({ preset: 'rfc9440', from: proxyAddress('10.0.0.1') }),
    })
  const item = ({ der }: { der: Uint8Array }) => `:${Buffer.from(der).toString('base64')}:`
  async function outcome(fields: Record<string, string>): Promise<string> {
    const decision = await proxied().authenticate(request(fields))
    return decision.outcome === 'accepted' ? 'accepted' : `${decision.error.code} ${decision.error.help}`
  }

  limit('presentedCertificates', 'sixteen certificates of a header are read, seventeen refused', async () => {
    const leaf = forge({ issuer: root })
    const others = some(limits.presentedCertificates, (i) => forge({ subject: `Other ${i}`, key: poolKey(1) }))
    const sent = (count: number) =>
      outcome({ 'client-cert': item(leaf), 'client-cert-chain': others.slice(0, count).map(item).join(', ') })
    expect(await sent(limits.presentedCertificates - 1)).toBe('accepted')
    expect(await sent(limits.presentedCertificates)).toMatch(/^ERR_CLIENT_CERT_HEADER_MALFORMED .*more than 16/)
  })

  limit('headerBytes', 'a header of 65,536 octets is decoded, of one more refused', async () => {
    const leaf = item(forge({ issuer: root }))
    const spaces = (octets: number) => outcome({ 'client-cert': leaf + ' '.repeat(octets - leaf.length) })
    expect(await spaces(limits.headerBytes)).toBe('accepted')
    expect(await spaces(limits.headerBytes + 1)).toMatch(/^ERR_CLIENT_CERT_HEADER_MALFORMED .*65537.*65536/)
  })

  limit('quotedCharacters', 'no value of a peer makes a line longer than 256 characters of it', async () => {
    const extensions = [{ oid: '1.2.3.4', critical: true, value: new Uint8Array(1) }]
    const help = async (length: number) => {
      const result = await validate(forge({ issuer: root, subject: 'x'.repeat(length), extensions }), [], [root])
      return result.valid ? '' : result.error.help
    }
    const text = `CN=${'x'.repeat(limits.quotedCharacters - 3)}`
    expect(await help(limits.quotedCharacters - 3)).toContain(`"${text}"`)
    expect(await help(limits.quotedCharacters - 2)).toContain(`"${text.slice(0, -1)}…"`)
    expect((await help(20_000)).length).toBe((await help(limits.quotedCharacters - 2)).length)
  })

  limit('detailCharacters', 'no fact of a refusal is longer than 1,024 characters', async () => {
    const fact = async (length: number) => {
      const past = { notBefore: fromNoon(-120), notAfter: fromNoon(-60) }
      const result = await validate(forge({ issuer: root, subject: 'x'.repeat(length), ...past }), [], [root])
      return result.valid ? '' : (result.error.detail as { subject: string }).subject
    }
    expect(await fact(limits.detailCharacters - 3)).toBe(`CN=${'x'.repeat(limits.detailCharacters - 3)}`)
    expect((await fact(limits.detailCharacters - 2)).length).toBe(limits.detailCharacters)
    expect((await fact(20_000)).length).toBe(limits.detailCharacters)
  })

  limit('detailEntries', 'no list of a refusal is longer than 16 entries', () => {
    const present = Array.from({ length: 17 }, (_, i) => `1.2.${i}`)
    const usage = { subject: '', extension: 'extendedKeyUsage', role: 'client', required: 'clientAuth' } as const
    expect(deny('ERR_CLIENT_CERT_KEY_USAGE', { ...usage, present }).detail.present).toEqual(present.slice(0, 16))
    expect(deny('ERR_CLIENT_CERT_KEY_USAGE', { ...usage, present: present.slice(1) }).detail.present?.length).toBe(16)
  })

  limit('helpCharacters', 'no sentence is longer than 1,500 characters', () => {
    const anchors = Array.from({ length: 16 }, () => '\u200b'.repeat(1_000))
    const facts = { cause: 'not-trusted', issuer: '\u200b'.repeat(1_000), anchors, anchorCount: 16 } as const
    expect(deny('ERR_CLIENT_CERT_UNKNOWN_ISSUER', facts).help.length).toBe(limits.helpCharacters)
    const short = { ...facts, anchors: ['CN=A'], anchorCount: 1 }
    expect(deny('ERR_CLIENT_CERT_UNKNOWN_ISSUER', short).help.length).toBeLessThan(limits.helpCharacters)
  })

  limit('headerFields', 'the header of a request with 999 fields is read, of one more it is ambiguous', async () => {
    const leaf = item(forge({ issuer: root }))
    const among = (fields: number) =>
      outcome({
        'client-cert': leaf,
        ...Object.fromEntries(Array.from({ length: fields - 1 }, (_, i) => [`x-${i}`, '1'])),
      })
    expect(await among(limits.headerFields - 1)).toBe('accepted')
    expect(await among(limits.headerFields)).toMatch(/^ERR_CLIENT_CERT_HEADER_AMBIGUOUS/)
  })

  limit('headerParameters', '256 parameters of a header are passed over, one more refuses it', async () => {
    const leaf = item(forge({ issuer: root }))
    const having = (count: number) => outcome({ 'client-cert': leaf + ';a'.repeat(count) })
    expect(await having(limits.headerParameters)).toBe('accepted')
    expect(await having(limits.headerParameters + 1)).toMatch(/^ERR_CLIENT_CERT_HEADER_MALFORMED .*more than 256/)
  })

  limit('forwardedElements', 'an X-Forwarded-Client-Cert of 32 elements is read, of one more refused', () => {
    const { der } = forge({ issuer: root })
    const text = Buffer.from(der)
      .toString('base64')
      .replace(/.{1,64}/g, '$&\n')
    const cert = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${text}-----END CERTIFICATE-----\n`)
    const element = `Hash=${hash('sha256', der, 'hex')};Cert="${cert}"`
    const read = (count: number) => () => xfcc(0).certificate(new Array(count).fill(element).join())
    expect(read(limits.forwardedElements)()).toHaveLength(1)
    expect(read(limits.forwardedElements + 1)).toThrow('more than 32 elements')
  })

  limit('headerMemoryBytes', 'what is remembered of headers fits into 64 MiB, however large each is', () => {
    const memory = new HeaderMemory<number>(limits.headerMemoryBytes)
    const half = limits.headerMemoryBytes / 2
    memory.remember('a', [], 1, half - 10_000)
    memory.remember('b', [], 2, half - 10_000)
    expect([memory.find('a', []), memory.find('b', [])]).toEqual([1, 2])
    memory.remember('c', [], 3, half - 10_000)
    expect(memory.size).toBe(2)
    expect(memory.octets).toBeLessThanOrEqual(limits.headerMemoryBytes)
    memory.remember('d', [], 4, limits.headerMemoryBytes + 1)
    expect(memory.find('d', [])).toBeUndefined()
  })

  limit('secretFileBytes', 'a file of proxy secrets of 65,536 octets is read, of one more refused', () => {
    const file = join(folder, 'secrets')
    const open = () => proxySecret({ header: 'X', secrets: { file } }).close()
    writeFileSync(file, 'c0ffee00c0ffee11c0ffee22c0ffee3344556677'.padEnd(limits.secretFileBytes, '\n'))
    expect(open).not.toThrow()
    writeFileSync(file, 'c0ffee00c0ffee11c0ffee22c0ffee3344556677'.padEnd(limits.secretFileBytes + 1, '\n'))
    expect(open).toThrow(/more than 65536 octets/)
  })

  test('P-15: the text of a refusal over thousands of names is written once and short', async () => {
    const [ca, leaf] = forgePath(
      root,
      { ca: true, extensions: [nameConstraints({ permitted: [dns('a')] })] },
      { names: some(1_000, (i) => dns(`${i}.${'x'.repeat(10)}.a`)).with(999, dns('b'.repeat(63))) },
    ) as [Forged, Forged]
    const result = await validate(leaf, [ca], [root])
    expect(result.valid || result.error.help.length).toBeLessThan(1_000)
    expect(result.valid || result.error.code).toBe('ERR_CLIENT_CERT_NAME_CONSTRAINTS')
  })

  limit('trustFileBytes', 'a trust file of more than 64 MiB is not read', () => {
    const file = join(folder, 'large.pem')
    writeFileSync(file, pem(root.der))
    expect(TrustStore.load(file, { watch: false }).current().anchors).toHaveLength(1)
    truncateSync(file, limits.trustFileBytes + 1)
    const load = () => TrustStore.load(file, { watch: false })
    expect(load).toThrow(ClientCertConfigError)
    expect(load).toThrow(/has 67108865 octets, the limit is 67108864/)
    // At the limit it is read: and then it is no PEM.
    truncateSync(file, limits.trustFileBytes)
    expect(load).not.toThrow(/the limit is/)
  })

  const nobody = {} as ClientIdentity
  const no = rules.custom('no', () => false)
  const manyOf = async (count: number) =>
    judge(rules.any(...(Array.from({ length: count }, () => no) as [Rule])), nobody, undefined, 0)

  limit('outcomeEntries', 'of a combination of more rules the outcomes of the first are kept', async () => {
    expect((await manyOf(limits.outcomeEntries)).of).toHaveLength(limits.outcomeEntries)
    expect((await manyOf(limits.outcomeEntries + 1)).of).toHaveLength(limits.outcomeEntries)
  })

  limit('outcomeLines', 'an explanation of more lines ends in an ellipsis', async () => {
    const nested = async (groups: number, rest: number) => {
      const group = rules.any(...(Array.from({ length: 14 }, () => no) as [Rule]))
      const rule = rules.any(
        ...(Array.from({ length: groups }, () => group) as [Rule]),
        ...Array.from({ length: rest }, () => no),
      )
      return outcomeLines(await judge(rule, nobody, undefined, 0), { names: true })
    }
    // One line for the whole, fifteen for each group.
    expect(await nested(2, 1)).toHaveLength(limits.outcomeLines)
    expect((await nested(2, 1)).at(-1)).not.toBe('…')
    expect(await nested(2, 2)).toHaveLength(limits.outcomeLines + 1)
    expect((await nested(2, 2)).at(-1)).toBe('…')
  })

  limit('documentDepth', 'a rule document that is nested deeper is refused', () => {
    const nested = (depth: number) => `{"allow":${'{"not":'.repeat(depth)}{"commonName":"a"}${'}'.repeat(depth)}}`
    expect(() => ruleFromText('rules', nested(limits.documentDepth - 2))).not.toThrow()
    expect(() => ruleFromText('rules', nested(limits.documentDepth - 1))).toThrow(/nested more than 64 deep/)
  })

  limit('credentialFileBytes', 'a file of the server’s own key of more than a mebibyte is not read', () => {
    const file = join(folder, 'large.key')
    writeFileSync(file, 'key')
    truncateSync(file, limits.credentialFileBytes)
    expect(readKeyFile('key', file)).toHaveLength(limits.credentialFileBytes)
    truncateSync(file, limits.credentialFileBytes + 1)
    expect(() => readKeyFile('key', file)).toThrow(/has 1048577 octets, the limit is 1048576/)
  })

  limit('connectionDecisionMilliseconds', 'a connection at the door waits ten seconds, and no longer', async () => {
    jest.useFakeTimers()
    try {
      const socket = Object.assign(new EventEmitter(), { destroy: jest.fn() })
      const never = { authenticateSocket: () => new Promise(() => {}) }
      const admitted = admit(socket as never, never as never, undefined, () => true)
      await jest.advanceTimersByTimeAsync(limits.connectionDecisionMilliseconds - 1)
      expect(socket.destroy).not.toHaveBeenCalled()
      await jest.advanceTimersByTimeAsync(1)
      await admitted
      expect(socket.destroy).toHaveBeenCalledTimes(1)
    } finally {
      jest.useRealTimers()
    }
  })

  describe('in a handshake', () => {
    let certificates: Awaited<ReturnType<typeof createTestPki>>
    beforeAll(async () => {
      certificates = await createTestPki()
    })

    test('limits.presentedCertificates: sixteen certificates are read, seventeen refused', async () => {
      const { root: top, server, trust } = certificates
      const chain = [top]
      for (let i = 0; i < limits.presentedCertificates; i++) {
        const subject = `CN=Filler ${i}`
        chain.push(await (chain.at(-1) as typeof top).issueAuthority({ subject, keyAlgorithm: 'P-256' }))
      }
      const authenticator = createAuthenticator({ trust, revocation: 'none', log: false })
      const { key, cert } = (await server()).tls
      const outcomes: string[] = []
      const listener = createServer(
        { key, cert, ca: [], requestCert: true, rejectUnauthorized: false },
        async (socket) => {
          const decision = await authenticator.authenticateSocket(socket as TLSSocket)
          outcomes.push(decision.outcome === 'accepted' ? 'accepted' : JSON.stringify(decision.error.detail))
          socket.end('done')
        },
      )
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
      const { port } = listener.address() as AddressInfo
      const send = async (intermediates: number) => {
        const leaf = await (chain[intermediates] as typeof top).issue()
        await new Promise((resolve, reject) => {
          const socket = connect({ port, host: '127.0.0.1', ca: trust, servername: 'localhost', ...leaf.tls })
          socket.on('error', reject).on('close', resolve).resume()
        })
        return outcomes.at(-1)
      }
      try {
        // Read, and then too long a path for other reasons.
        expect(await send(limits.presentedCertificates - 1)).toMatch(/profile.maxIntermediates/)
        expect(await send(limits.presentedCertificates)).toBe(
          JSON.stringify({ limit: 'presented certificates', maximum: limits.presentedCertificates }),
        )
        expect(await send(2)).toBe('accepted')
      } finally {
        await authenticator.close()
        await new Promise((resolve) => listener.close(resolve))
      }
    })
  })
})

describe('this file', () => {
  test('reaches every row of limits.ts that the tests of another room do not', () => {
    const tests = readdirSync(join(import.meta.dirname, '..'), { recursive: true, encoding: 'utf8' })
    const others = tests.filter((file) => file.endsWith('.test.ts') && !file.endsWith('budgets.test.ts'))
    const text = others.map((file) => readFileSync(join(import.meta.dirname, '..', file), 'utf8')).join('\n')
    const named = new Set([...text.matchAll(/\blimits\.(\w+)/g)].map(([, name]) => name))
    expect(Object.keys(limits).filter((name) => !reached.has(name) && !named.has(name))).toEqual([])
  })

  test('reaches every field of the profile that is a number, each of which bounds something', () => {
    const numbers = Object.entries(strictProfile).flatMap(([key, value]) => (typeof value === 'number' ? [key] : []))
    expect([...fieldsReached].sort()).toEqual(numbers.sort())
  })
})
