import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { Budget } from '../../src/path/budget.js'
import { resolveProfile } from '../../src/path/profile.js'
import { validatePath } from '../../src/path/validate-path.js'
import type { AnyClientCertError, PathProfile } from '../../src/path.js'
import { Certificate } from '../../src/x509/certificate.js'
import {
  certificatePolicies,
  type Extension,
  id,
  inhibitAnyPolicy,
  policyConstraints,
  policyMappings,
} from '../support/path-der.js'
import {
  dice,
  type Forged,
  forge,
  forgePath,
  noon,
  type Plan,
  poolKey,
  validate,
  verdict,
} from '../support/path-forge.js'
import {
  anyPolicy,
  type PolicyCertificate,
  type PolicyInputs,
  type PolicyOutcome,
  policyTree,
} from '../support/path-policy-tree.js'

const [red, green, blue, gold] = ['1.3.5.1', '1.3.5.2', '1.3.5.3', '1.3.5.4'] as const
const rootName = 'Policy root'
const root = forge({ subject: rootName })

const REFUSED = 'ERR_CLIENT_CERT_POLICY'

/** What a certificate says, as extensions. */
function extensionsOf(says: Omit<PolicyCertificate, 'selfIssued'>): Extension[] {
  const { policies, mappings, requireExplicit, inhibitMapping, inhibitAny } = says
  return [
    ...(policies === undefined ? [] : [certificatePolicies(policies)]),
    ...(mappings === undefined ? [] : [policyMappings(mappings)]),
    ...(requireExplicit === undefined && inhibitMapping === undefined
      ? []
      : [policyConstraints({ requireExplicit, inhibitMapping })]),
    ...(inhibitAny === undefined ? [] : [inhibitAnyPolicy(inhibitAny)]),
  ]
}

/** A path that says this, from the root's first certificate to the end entity. A self-issued CA bears the name of what issued it. */
function pathOf(chain: readonly PolicyCertificate[], unsigned = false): Forged[] {
  let issuer = rootName
  const plans = chain.map((says, i): Plan => {
    const subject = says.selfIssued ? issuer : `${i === chain.length - 1 ? 'leaf' : 'CA'} ${i}`
    issuer = subject
    return { ca: i < chain.length - 1, subject, key: poolKey(i + 1), unsigned, extensions: extensionsOf(says) }
  })
  return forgePath(root, ...plans)
}

type Says = Omit<PolicyCertificate, 'selfIssued'> & { selfIssued?: boolean }

/** The user-constrained policy set of a path, sorted, or the code of the refusal. */
async function policiesOf(
  chain: readonly Says[],
  profile: Partial<PathProfile> = {},
): Promise<readonly string[] | string> {
  const made = pathOf(chain.map((says) => ({ selfIssued: false, ...says })))
  const result = await validate(made.at(-1) as Forged, made.slice(0, -1), [root], profile)
  return result.valid ? [...result.policies].sort() : result.error.code
}

const explicit = { requireExplicitPolicy: true }
const only = (...initialPolicySet: string[]) => ({ ...explicit, initialPolicySet })

describe('an explicit policy', () => {
  const both = [{ policies: [red, green] }, { policies: [red, blue] }]

  test('that is not required is not missed', async () => {
    expect(await policiesOf([{ policies: [red] }, { policies: [green] }])).toEqual([])
    expect(await policiesOf([{ policies: [red] }, { policies: [green] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([{}, {}])).toEqual([])
    expect(await policiesOf([{}, {}], explicit)).toBe(REFUSED)
  })

  test('is what all certificates of the path assert', async () => {
    expect(await policiesOf(both, explicit)).toEqual([red])
    expect(await policiesOf([{ policies: [green] }, { policies: [red, blue] }], explicit)).toBe(REFUSED)
  })

  test('that the caller does not accept is refused if one is required, and is no policy of the path if not', async () => {
    expect(await policiesOf(both, only(red))).toEqual([red])
    expect(await policiesOf(both, only(gold))).toBe(REFUSED)
    expect(await policiesOf(both, { initialPolicySet: [gold] })).toEqual([])
    expect(await policiesOf(both, { initialPolicySet: [gold, red] })).toEqual([red])
  })

  test('the accepted set with anyPolicy in it accepts any', async () => {
    expect(await policiesOf(both, only(gold, anyPolicy))).toEqual([red])
    expect(await policiesOf(both, only(gold, blue))).toBe(REFUSED)
  })

  test('is lost for good where one certificate asserts none', async () => {
    expect(await policiesOf([{ policies: [red] }, { policies: [red] }, { policies: [red] }], explicit)).toEqual([red])
    expect(await policiesOf([{ policies: [red] }, {}, { policies: [red] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([{}, { policies: [red] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([{ policies: [red] }, {}], explicit)).toBe(REFUSED)
    expect(await policiesOf([{ policies: [anyPolicy] }, {}, { policies: [anyPolicy] }], explicit)).toBe(REFUSED)
  })

  test('the refusal names the certificate that lost it and what was required', async () => {
    const made = pathOf([
      { selfIssued: false, policies: [red] },
      { selfIssued: false, policies: [green] },
    ])
    const result = await validate(made[1] as Forged, [made[0] as Forged], [root], only(red, green))
    expect(result).toMatchObject({
      valid: false,
      error: { code: REFUSED, depth: 0, detail: { subject: 'CN=leaf 1', required: [red, green] } },
    })
    expect((await validate(made[1] as Forged, [made[0] as Forged], [root], { initialPolicySet: [red] })).valid).toBe(
      true,
    )
  })

  test('a critical certificatePolicies is processed like one that is not', async () => {
    const make = (policies: string[]) => forge({ issuer: root, extensions: [certificatePolicies(policies, true)] })
    expect(await verdict(make([red]), [], [root], only(red))).toBe('accepted')
    expect(await verdict(make([green]), [], [root], only(red))).toBe('POLICY')
  })

  test('a policy asserted twice is malformed', async () => {
    expect(await policiesOf([{ policies: [red, green] }])).toEqual([red, green])
    expect(await policiesOf([{ policies: [red, red] }])).toBe('ERR_CLIENT_CERT_MALFORMED')
  })
})

describe('requireExplicitPolicy', () => {
  const bad: Says = { policies: [green] }
  const good: Says = { policies: [red] }

  test.each([0, 1, 2, 3, 4])(
    'of %i in the first of four certificates is in force that many certificates on',
    async (skip) => {
      // Certificates 2, 3, 4 follow; the requirement of §6.1.4 (i) holds from certificate 2 + skip on, and the end entity counts once more (§6.1.5 (a)).
      const outcome = await policiesOf([{ ...good, requireExplicit: skip }, good, good, bad])
      expect(outcome).toEqual(skip <= 3 ? REFUSED : [])
      expect(await policiesOf([{ ...good, requireExplicit: skip }, good, good, good])).toEqual([red])
    },
  )

  test('the least of several holds', async () => {
    expect(await policiesOf([{ ...good, requireExplicit: 9 }, { ...good, requireExplicit: 1 }, bad])).toBe(REFUSED)
    expect(await policiesOf([{ ...good, requireExplicit: 1 }, { ...good, requireExplicit: 9 }, bad])).toBe(REFUSED)
    expect(await policiesOf([{ ...good, requireExplicit: 9 }, { ...good, requireExplicit: 9 }, bad])).toEqual([])
  })

  test('self-issued certificates do not count it down', async () => {
    const rolled: Says = { ...good, selfIssued: true }
    const first = { ...good, requireExplicit: 3 }
    expect(await policiesOf([first, rolled, good, bad])).toEqual([])
    expect(await policiesOf([first, good, good, bad])).toBe(REFUSED)
  })

  test('of zero in the end entity requires one of the path', async () => {
    expect(await policiesOf([good, { ...bad, requireExplicit: 1 }])).toEqual([])
    expect(await policiesOf([good, { ...bad, requireExplicit: 0 }])).toBe(REFUSED)
    expect(await policiesOf([good, { ...good, requireExplicit: 0 }])).toEqual([red])
    // And of what the caller accepts.
    expect(await policiesOf([good, { ...good, requireExplicit: 0 }], { initialPolicySet: [green] })).toBe(REFUSED)
  })

  test('beyond every path is no limit, whatever its size', async () => {
    const huge = (octets: number[]): Extension => ({
      oid: id.policyConstraints,
      critical: true,
      value: Uint8Array.from([0x30, octets.length + 2, 0x80, octets.length, ...octets]),
    })
    const through = (octets: number[]) => {
      const ca = forge({
        issuer: root,
        ca: true,
        subject: 'CA',
        extensions: [certificatePolicies([red]), huge(octets)],
      })
      return verdict(forge({ issuer: ca }), [ca], [root])
    }
    expect(await through([0x7f, ...Array(12).fill(0xff)])).toBe('accepted')
    expect(await through([0x01, 0, 0, 0, 0, 0, 0, 0, 0])).toBe('accepted')
    expect(await through([0])).toBe('POLICY')
    expect(await through([0xff])).toMatch(/^MALFORMED: INTEGER is negative/)
  })
})

describe('anyPolicy', () => {
  const any: Says = { policies: [anyPolicy] }

  test('lets every policy below it begin there', async () => {
    expect(await policiesOf([any, { policies: [red] }], explicit)).toEqual([red])
    expect(await policiesOf([any, any], explicit)).toEqual([anyPolicy])
    expect(await policiesOf([any, { policies: [green] }], only(red))).toBe(REFUSED)
  })

  test('in the middle passes on what was expected, and nothing more', async () => {
    expect(await policiesOf([{ policies: [red, green] }, any, { policies: [green, gold] }], explicit)).toEqual([green])
    expect(await policiesOf([{ policies: [red, green] }, any, { policies: [gold] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([{ policies: [red, green] }, any], explicit)).toEqual([red, green])
  })

  test('to the end of the path means every policy the caller accepts', async () => {
    expect(await policiesOf([any, any], only(red, blue))).toEqual([red, blue])
    expect(await policiesOf([any, { policies: [red] }], only(red, blue))).toEqual([red])
  })

  test('beside a policy of its own leaves both', async () => {
    expect(await policiesOf([{ policies: [anyPolicy, red] }, { policies: [red, green] }], explicit)).toEqual([
      red,
      green,
    ])
    expect(await policiesOf([{ policies: [anyPolicy, red] }, { policies: [anyPolicy, red] }], explicit)).toEqual([
      red,
      anyPolicy,
    ])
    expect(await policiesOf([{ policies: [red] }, { policies: [red, green] }], explicit)).toEqual([red])
  })

  test('means nothing where the caller inhibits it', async () => {
    expect(await policiesOf([any, any], explicit)).toEqual([anyPolicy])
    expect(await policiesOf([any, any], { ...explicit, inhibitAnyPolicy: true })).toBe(REFUSED)
    expect(
      await policiesOf([{ policies: [red] }, { policies: [red] }], { ...explicit, inhibitAnyPolicy: true }),
    ).toEqual([red])
    expect(await policiesOf([{ policies: [red] }, any], { ...explicit, inhibitAnyPolicy: true })).toBe(REFUSED)
  })

  test.each([0, 1, 2])('inhibited by a CA after %i certificates counts that long', async (inhibitAny) => {
    const first: Says = { policies: [red], inhibitAny }
    expect(await policiesOf([first, any], explicit)).toEqual(inhibitAny > 0 ? [red] : REFUSED)
    expect(await policiesOf([first, any, any], explicit)).toEqual(inhibitAny > 1 ? [red] : REFUSED)
    expect(await policiesOf([first, any, any, any], explicit)).toEqual(REFUSED)
    expect(await policiesOf([{ policies: [red] }, any, any, any], explicit)).toEqual([red])
  })

  test('inhibited still counts in a self-issued CA, and not in an end entity that is self-issued', async () => {
    const first: Says = { policies: [red], inhibitAny: 0 }
    const last: Says = { policies: [red] }
    expect(await policiesOf([first, { ...any, selfIssued: true }, last], explicit)).toEqual([red])
    expect(await policiesOf([first, any, last], explicit)).toBe(REFUSED)
    expect(await policiesOf([first, { ...any, selfIssued: true }], explicit)).toBe(REFUSED)
    expect(await policiesOf([first, { ...last, selfIssued: true }], explicit)).toEqual([red])
  })

  test('a self-issued CA does not take one of its certificates', async () => {
    const first: Says = { policies: [red], inhibitAny: 1 }
    const rolled: Says = { policies: [red], selfIssued: true }
    expect(await policiesOf([first, rolled, any], explicit)).toEqual([red])
    expect(await policiesOf([first, { policies: [red] }, any], explicit)).toBe(REFUSED)
  })
})

describe('policyMappings', () => {
  const mapping: Says = { policies: [red], mappings: [[red, blue]] }

  test('rename a policy for what is below, and the set names it as the anchor does', async () => {
    expect(await policiesOf([mapping, { policies: [blue] }], explicit)).toEqual([red])
    expect(await policiesOf([mapping, { policies: [red] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([mapping, { policies: [blue] }], only(red))).toEqual([red])
    expect(await policiesOf([mapping, { policies: [blue] }], only(blue))).toBe(REFUSED)
  })

  test('may follow one another', async () => {
    const second: Says = { policies: [blue], mappings: [[blue, gold]] }
    expect(await policiesOf([mapping, second, { policies: [gold] }], explicit)).toEqual([red])
    expect(await policiesOf([mapping, second, { policies: [blue] }], explicit)).toBe(REFUSED)
  })

  test('of one policy to several, and of several to one', async () => {
    const fan: Says = {
      policies: [red],
      mappings: [
        [red, blue],
        [red, gold],
      ],
    }
    expect(await policiesOf([fan, { policies: [gold] }], explicit)).toEqual([red])
    const join: Says = {
      policies: [red, green],
      mappings: [
        [red, gold],
        [green, gold],
      ],
    }
    expect(await policiesOf([join, { policies: [gold] }], explicit)).toEqual([red, green])
    expect(await policiesOf([join, { policies: [gold] }], only(green))).toEqual([green])
    expect(await policiesOf([join, { policies: [red] }], explicit)).toBe(REFUSED)
  })

  test('that swap two policies keep them apart', async () => {
    const swap: Says = {
      policies: [red, green],
      mappings: [
        [red, green],
        [green, red],
      ],
    }
    expect(await policiesOf([swap, { policies: [red] }], explicit)).toEqual([green])
    expect(await policiesOf([swap, { policies: [red] }], only(red))).toBe(REFUSED)
  })

  test('onto a policy that is asserted as well merge into it', async () => {
    const merge: Says = { policies: [red, green], mappings: [[red, green]] }
    expect(await policiesOf([merge, { policies: [green] }], explicit)).toEqual([red, green])
    expect(await policiesOf([merge, { policies: [red] }], explicit)).toBe(REFUSED)
  })

  test('of a policy nobody asserts mean nothing, but under anyPolicy', async () => {
    const unasserted: Says = { policies: [green], mappings: [[red, blue]] }
    expect(await policiesOf([unasserted, { policies: [blue] }], explicit)).toBe(REFUSED)
    expect(await policiesOf([unasserted, { policies: [green] }], explicit)).toEqual([green])
    const under: Says = { policies: [anyPolicy], mappings: [[red, blue]] }
    expect(await policiesOf([under, { policies: [blue] }], explicit)).toEqual([red])
    expect(await policiesOf([under, { policies: [blue] }], only(blue))).toBe(REFUSED)
    // What is not mapped still begins under anyPolicy.
    expect(await policiesOf([under, { policies: [gold] }], only(gold))).toEqual([gold])
  })

  test('are ended by the caller, and with them the policies they speak of', async () => {
    const inhibited = { ...explicit, inhibitPolicyMapping: true }
    expect(await policiesOf([mapping, { policies: [blue] }], inhibited)).toBe(REFUSED)
    expect(await policiesOf([mapping, { policies: [red] }], inhibited)).toBe(REFUSED)
    const two: Says = { policies: [red, green], mappings: [[red, blue]] }
    expect(await policiesOf([two, { policies: [red, green, blue] }], inhibited)).toEqual([green])
    expect(await policiesOf([two, { policies: [red, green, blue] }], explicit)).toEqual([red, green])
  })

  test.each([0, 1, 2])('are ended by inhibitPolicyMapping after %i certificates', async (inhibitMapping) => {
    const first: Says = { policies: [red], inhibitMapping }
    const plain: Says = { policies: [red] }
    expect(await policiesOf([first, mapping, { policies: [blue] }], explicit)).toEqual(
      inhibitMapping > 0 ? [red] : REFUSED,
    )
    expect(await policiesOf([first, plain, mapping, { policies: [blue] }], explicit)).toEqual(
      inhibitMapping > 1 ? [red] : REFUSED,
    )
    // A self-issued CA does not take one.
    expect(await policiesOf([first, { ...plain, selfIssued: true }, mapping, { policies: [blue] }], explicit)).toEqual(
      inhibitMapping > 0 ? [red] : REFUSED,
    )
  })

  test('in a certificate that inhibits them are still allowed: what it says begins below it', async () => {
    const first: Says = { ...mapping, inhibitMapping: 0 }
    expect(await policiesOf([first, { policies: [blue] }], explicit)).toEqual([red])
    expect(await policiesOf([{ policies: [red], inhibitMapping: 0 }, mapping, { policies: [blue] }], explicit)).toBe(
      REFUSED,
    )
  })

  test.each([
    ['from anyPolicy', [anyPolicy, red]],
    ['to anyPolicy', [red, anyPolicy]],
    ['from anyPolicy to itself', [anyPolicy, anyPolicy]],
  ] as const)('%s refuse the path, required or not', async (_, pair) => {
    const policies = [anyPolicy, red]
    expect(await policiesOf([{ policies, mappings: [[red, blue]] }, { policies: [blue] }])).toEqual([red])
    for (const profile of [{}, explicit, { inhibitPolicyMapping: true }]) {
      const chain: Says[] = [{ policies, mappings: [[red, blue], pair] }, { policies: [blue] }]
      expect(await policiesOf(chain, profile)).toBe('ERR_CLIENT_CERT_EXTENSION')
    }
  })

  test('in an end entity mean nothing', async () => {
    const mappings = [[anyPolicy, red]] as const
    expect(await policiesOf([{ policies: [red] }, { policies: [red], mappings }], explicit)).toEqual([red])
    expect(await policiesOf([{ policies: [red] }, { policies: [green], mappings }], explicit)).toBe(REFUSED)
  })

  test('that are not critical are processed', async () => {
    const through = (policy: string) => {
      const extensions = [certificatePolicies([red]), policyMappings([[red, blue]], false)]
      const ca = forge({ issuer: root, ca: true, subject: 'CA', extensions })
      return verdict(forge({ issuer: ca, extensions: [certificatePolicies([policy])] }), [ca], [root], only(red))
    }
    expect(await through(blue)).toBe('accepted')
    expect(await through(red)).toBe('POLICY')
  })
})

describe('another path', () => {
  test('under a policy is found where the first one has none', async () => {
    const key = poolKey(9)
    const without = forge({ issuer: root, ca: true, subject: 'Cross', key })
    const with_ = forge({ issuer: root, ca: true, subject: 'Cross', key, extensions: [certificatePolicies([red])] })
    const leaf = forge({ issuer: with_, extensions: [certificatePolicies([red])] })
    expect(await verdict(leaf, [without, with_], [root], only(red))).toBe('accepted')
    expect(await verdict(leaf, [with_, without], [root], only(red))).toBe('accepted')
    expect(await verdict(leaf, [without], [root], only(red))).toBe('POLICY')
  })
})

describe('P-14: the cost of policies (CVE-2023-0464, CVE-2026-32281, RFC 9618)', () => {
  const roomy = { maxIntermediates: 40, maxSignatures: 40 }

  test('24 levels of two policies that map to both double nothing', async () => {
    const mappings = [
      [red, red],
      [red, green],
      [green, red],
      [green, green],
    ] as const
    const chain: Says[] = Array(24).fill({ policies: [red, green], mappings })
    const end: Says = { policies: [red, green] }
    // Two nodes asserted and two expected on each level: the tree has 2^24.
    expect(await policiesOf([...chain, end], { ...roomy, ...explicit, maxPolicyNodes: 24 * 4 + 2 })).toEqual([
      red,
      green,
    ])
    expect(await policiesOf([...chain, end], { ...roomy, ...explicit, maxPolicyNodes: 24 * 4 + 1 })).toBe(
      'ERR_CLIENT_CERT_BUDGET',
    )
    const started = performance.now()
    expect(await policiesOf([...chain, { policies: [blue] }], { ...roomy, ...explicit })).toBe(REFUSED)
    expect(performance.now() - started).toBeLessThan(500)
  })

  /** As many as one certificate holds: 1,024 entries of the shortest identifiers, in ten CAs. */
  const many = (count: number, make: (i: number) => readonly [string, string]) =>
    Array.from({ length: count }, (_, i) => make(i))
  const numbered = (i: number) => `1.${i % 39}.${Math.floor(i / 39)}`

  test.each([
    ['of one policy to a thousand', () => [numbered(0)], many(1024, (i) => [numbered(0), numbered(i)])],
    [
      'of a thousand policies to one',
      () => many(1024, (i) => [numbered(i), '']).map(([p]) => p),
      many(1024, (i) => [numbered(i), numbered(0)]),
    ],
    [
      'of a thousand policies to the next one each',
      () => many(1024, (i) => [numbered(i), '']).map(([p]) => p),
      many(1024, (i) => [numbered(i), numbered((i + 1) % 1024)]),
    ],
    [
      'of thirty-two policies to thirty-two each',
      () => many(32, (i) => [numbered(i), '']).map(([p]) => p),
      many(1024, (i) => [numbered(i >> 5), numbered(i & 31)]),
    ],
    ['under anyPolicy', () => [anyPolicy], many(1024, (i) => [numbered(i), numbered(i + 1024)])],
    ['of the same pair again and again', () => [red], many(1024, () => [red, red])],
    ['that nobody asserted', () => [red], many(1024, (i) => [numbered(i), numbered(i + 1)])],
  ] as const)('a path full of mappings %s takes bounded work', async (_, policies, mappings) => {
    const level: PolicyCertificate = { selfIssued: false, policies: policies(), mappings }
    const made = pathOf([...Array(10).fill(level), { selfIssued: false, policies: [anyPolicy, red] }])
    expect(made.reduce((sum, { der }) => sum + der.length, 0)).toBeGreaterThan(10 * 1024 * 8)
    for (const profile of [
      explicit,
      { ...explicit, inhibitPolicyMapping: true },
      { ...explicit, maxPolicyNodes: 1_000_000 },
    ]) {
      const started = performance.now()
      const result = await validate(made.at(-1) as Forged, made.slice(0, -1), [root], profile)
      expect(performance.now() - started).toBeLessThan(1_000)
      if (!result.valid) expect(result.error.code).toMatch(/_POLICY$|_BUDGET$/)
    }
  })

  test('a maze of paths, each full of mappings, takes bounded work too', async () => {
    const pairs = many(1024, (i) => [numbered(i), numbered(i + 1)])
    const extensions = extensionsOf({ policies: pairs.map(([policy]) => policy), mappings: pairs })
    // Seven layers of two certificates for one name and key: 128 paths, all of them signed, as many as 16 certificates make.
    const top = extensionsOf({ policies: [red], requireExplicit: 8 })
    const maze: Forged[] = []
    for (let layer = 0; layer < 7; layer++) {
      const issuer = maze.at(-1) ?? root
      const plan = {
        issuer,
        ca: true,
        subject: `Layer ${layer}`,
        key: poolKey(layer),
        extensions: layer === 0 ? top : extensions,
      }
      maze.push(forge(plan), forge(plan))
    }
    const leaf = forge({ issuer: maze.at(-1) as Forged, extensions: [certificatePolicies([red])] })
    const started = performance.now()
    expect(await verdict(leaf, maze, [root], explicit)).toBe('POLICY')
    expect(performance.now() - started).toBeLessThan(1_000)
    const plain = maze.map((_, i) => i >> 1).map((layer) => maze[layer * 2] as Forged)
    expect(await verdict(leaf, plain, [root])).toBe('accepted')
  })

  test('a full path of mappings that is good is accepted when the caller gives it room, and refused by the default', async () => {
    const level: PolicyCertificate = {
      selfIssued: false,
      policies: many(1024, (i) => [numbered(i), '']).map(([policy]) => policy),
      mappings: many(1024, (i) => [numbered(i), numbered((i + 1) % 1024)]),
    }
    const made = pathOf([level, level, { selfIssued: false, policies: [numbered(2)] }])
    const [leaf, via] = [made.at(-1) as Forged, made.slice(0, -1)]
    const room = await validate(leaf, via, [root], { ...explicit, maxPolicyNodes: 1024 * 4 + 1 })
    expect(room).toMatchObject({ valid: true, policies: [numbered(0)] })
    expect(await verdict(leaf, via, [root], explicit)).toBe('BUDGET: policy nodes (profile.maxPolicyNodes)')
  })
})

describe('against the valid_policy_tree of RFC 5280', () => {
  const cases = Number(process.env.MTLS_POLICY_CASES ?? 4_000)
  const palette = [red, green, blue, gold]

  function randomCase(seed: number): { chain: PolicyCertificate[]; inputs: PolicyInputs } {
    const { below, chance, pick, some } = dice(seed)
    const skip = (probability: number) => (chance(probability) ? below(4) : undefined)
    const colours = palette.slice(0, 2 + below(3))
    const length = 1 + below(5)
    // Chains that lose every policy at once say little: most certificates assert much.
    const generous = chance(0.7)
    const chain = Array.from({ length }, (_, i): PolicyCertificate => {
      const policies = [...some(colours, generous ? 0.75 : 0.4), ...(chance(generous ? 0.35 : 0.2) ? [anyPolicy] : [])]
      const mappings = Array.from({ length: below(5) }, () => [pick(colours), pick(colours)] as const)
      const last = i === length - 1
      return {
        selfIssued: chance(0.25),
        policies: policies.length === 0 ? undefined : policies,
        mappings: !last && mappings.length > 0 && chance(0.6) ? mappings : undefined,
        requireExplicit: skip(0.3),
        inhibitMapping: skip(0.15),
        inhibitAny: skip(0.2),
      }
    })
    const accepted = some(colours, 0.5)
    return {
      chain,
      inputs: {
        initialPolicies: chance(0.5) || accepted.length === 0 ? [anyPolicy] : accepted,
        explicit: chance(0.4),
        inhibitMapping: chance(0.1),
        inhibitAny: chance(0.15),
      },
    }
  }

  const profileOf = (inputs: PolicyInputs): Partial<PathProfile> => ({
    initialPolicySet: inputs.initialPolicies,
    requireExplicitPolicy: inputs.explicit,
    inhibitPolicyMapping: inputs.inhibitMapping,
    inhibitAnyPolicy: inputs.inhibitAny,
    maxSignatures: 1_000,
  })

  /** Path validation alone: the path is given, and every signature counts as verified. */
  function validateAlone(made: readonly Forged[], inputs: PolicyInputs): PolicyOutcome | string {
    const profile = resolveProfile(profileOf(inputs))
    const [anchor, ...path] = [root, ...made].map(({ der }) => Certificate.parse(der)) as [Certificate]
    try {
      const found = validatePath(path.toReversed(), anchor, {
        profile,
        at: noon.getTime(),
        budget: new Budget(profile),
        isSignedBy: () => true,
      })
      return { valid: true, policies: [...found].sort() }
    } catch (error) {
      return (error as AnyClientCertError).code
    }
  }

  test(`${cases} random paths have the same verdict and the same user-constrained policy set`, () => {
    const seen = { valid: 0, withPolicies: 0, refused: 0 }
    for (let seed = 1; seed <= cases; seed++) {
      const { chain, inputs } = randomCase(seed)
      const wanted = policyTree(chain, inputs)
      const found = validateAlone(pathOf(chain, true), inputs)
      const expected = wanted.valid ? wanted : REFUSED
      // A matcher for each case would take longer than the case.
      if (!isDeepStrictEqual(found, expected)) expect({ seed, chain, inputs, found }).toBe(expected)
      seen[wanted.valid ? (wanted.policies.length > 0 ? 'withPolicies' : 'valid') : 'refused']++
    }
    // The generator reaches every kind of outcome.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(cases / 10)
  }, 300_000)

  test('250 of them, signed, built and verified, come to the same by the public function', async () => {
    for (let seed = 1; seed <= 250; seed++) {
      const { chain, inputs } = randomCase(seed)
      const wanted = policyTree(chain, inputs)
      const made = pathOf(chain)
      const result = await validate(made.at(-1) as Forged, made.slice(0, -1), [root], profileOf(inputs))
      const found = result.valid ? { valid: true, policies: [...result.policies].sort() } : result.error.code
      expect({ seed, found }).toEqual({ seed, found: wanted.valid ? wanted : REFUSED })
    }
  }, 60_000)

  test('the tree itself says what the RFC says: it would notice a wrong graph', () => {
    const plain: PolicyInputs = {
      initialPolicies: [anyPolicy],
      explicit: true,
      inhibitMapping: false,
      inhibitAny: false,
    }
    const mapped: PolicyCertificate[] = [
      { selfIssued: false, policies: [red], mappings: [[red, blue]] },
      { selfIssued: false, policies: [blue] },
    ]
    expect(policyTree(mapped, plain)).toEqual({ valid: true, policies: [red] })
    expect(policyTree(mapped, { ...plain, inhibitMapping: true })).toEqual({ valid: false, policies: [] })
    expect(policyTree(mapped, { ...plain, initialPolicies: [blue] })).toEqual({ valid: false, policies: [] })
    expect(policyTree(mapped, { ...plain, initialPolicies: [blue], explicit: false })).toEqual({
      valid: true,
      policies: [],
    })
  })
})
