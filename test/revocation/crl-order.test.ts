import { describe, expect, test } from '@jest/globals'
import { validateCertificationPath } from '../../src/path.js'
import { asker, known, verdict, verdictOf } from '../support/crl-answers.js'
import { type CrlPlan, cRLDistributionPoints, forgeCrl, unknownExtension } from '../support/crl-forge.js'
import { uri } from '../support/path-der.js'
import { type Forged, forge, noon, poolKey } from '../support/path-forge.js'

/** Several CRLs of one CA: which of them are heard does not depend on the order they are supplied in. */
const shard = { fullName: [uri('http://crl.test/1')] }
const root = forge({ subject: 'Root', key: poolKey(40) })
const leaf = forge({ issuer: root, serial: 7, extensions: [cRLDistributionPoints(shard)] })

const hour = 3600
const lists = { entries: [{ serial: 7 }] }
const crl = (plan: CrlPlan, isListed: boolean) => forgeCrl(root, isListed ? { ...plan, ...lists } : plan)
const ask = (...crls: Uint8Array[]) => verdict(leaf, { anchors: [root], crls })

type Kind = 'old' | 'new' | 'tied' | 'future' | 'expired' | 'other scope'

/** The table: a CRL is heard where it is given without those that overrule it. Whom a heard CRL lists is revoked. */
const kinds: Readonly<Record<Kind, { plan: CrlPlan; overruledBy: readonly Kind[] | 'the clock'; isOver?: true }>> = {
  expired: {
    plan: { number: 1, thisUpdate: -9 * hour, nextUpdate: -hour },
    overruledBy: ['old', 'new', 'tied'],
    isOver: true,
  },
  old: { plan: { number: 2, thisUpdate: -3 * hour }, overruledBy: ['new', 'tied'] },
  new: { plan: { number: 3, thisUpdate: -hour }, overruledBy: [] },
  tied: { plan: { number: 4, thisUpdate: -hour, nextUpdate: 2 * hour }, overruledBy: [] },
  future: { plan: { number: 5, thisUpdate: hour, nextUpdate: 2 * hour }, overruledBy: 'the clock' },
  'other scope': { plan: { number: 6, thisUpdate: -2 * hour, scope: shard }, overruledBy: [] },
}
const names = Object.keys(kinds) as Kind[]

type Given = ReadonlyMap<Kind, 'lists' | 'omits'>

function expected(given: Given): string {
  const heard = [...given.keys()].filter((kind) => {
    const { overruledBy } = kinds[kind]
    return overruledBy !== 'the clock' && !overruledBy.some((other) => given.has(other))
  })
  if (heard.some((kind) => given.get(kind) === 'lists')) return 'revoked @0'
  return heard.some((kind) => kinds[kind].isOver !== true) ? 'good' : 'unknown @0'
}

/** Every choice of kinds, each listing the leaf or not: 3^6. */
function* choices(rest: readonly Kind[] = names): Generator<[Kind, 'lists' | 'omits'][]> {
  const [kind, ...others] = rest
  if (kind === undefined) {
    yield []
    return
  }
  for (const choice of choices(others)) {
    yield choice
    yield [[kind, 'lists'], ...choice]
    yield [[kind, 'omits'], ...choice]
  }
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield []
  for (const [i, item] of items.entries()) {
    for (const rest of permutations(items.filter((_, j) => j !== i))) yield [item, ...rest]
  }
}

describe('every permutation of old, new, tied, future, expired and another scope', () => {
  test('gives the answer of the table', async () => {
    const made = new Map(
      names.flatMap((kind) =>
        (['lists', 'omits'] as const).map((what) => [
          `${kind} ${what}`,
          known(crl(kinds[kind].plan, what === 'lists')),
        ]),
      ),
    )
    const answerBy = asker(leaf, { anchors: [root] })
    const seen = new Map<string, number>()
    const wrong: string[] = []
    for (const choice of choices()) {
      const wanted = expected(new Map(choice))
      for (const order of permutations(choice)) {
        const labels = order.map((each) => each.join(' '))
        const found = verdictOf(await answerBy(labels.map((label) => made.get(label) as ReturnType<typeof known>)))
        if (found !== wanted) wrong.push(`${labels.join(', ')}: ${found}, not ${wanted}`)
        seen.set(found, (seen.get(found) ?? 0) + 1)
      }
    }
    expect(wrong.slice(0, 10)).toEqual([])
    // 729 choices in all their orders; each answer occurs in thousands of them.
    expect([...seen.values()].reduce((sum, count) => sum + count)).toBe(75_973)
    expect([...seen.keys()].sort()).toEqual(['good', 'revoked @0', 'unknown @0'])
  }, 60_000)
})

describe('L10: two CRLs of the same second', () => {
  const [omitting, listing] = [false, true].map((isListed) => crl({ number: 5 }, isListed)) as [Uint8Array, Uint8Array]

  test('one lists the certificate: revoked, in either order, whatever their numbers', async () => {
    expect(await ask(omitting, listing)).toBe('revoked @0')
    expect(await ask(listing, omitting)).toBe('revoked @0')
    for (const number of [4, 6]) {
      expect(await ask(omitting, crl({ number }, true))).toBe('revoked @0')
      expect(await ask(crl({ number }, true), omitting)).toBe('revoked @0')
    }
    expect(await ask(omitting, crl({ number: 6 }, false))).toBe('good')
  })

  test('in validateCertificationPath, too, whose caller knows of no order', async () => {
    const asked = async (crls: Uint8Array[]) => {
      const result = await validateCertificationPath({
        certificate: leaf.der,
        trustAnchors: [root.der],
        at: noon,
        crls,
      })
      return result.valid ? 'valid' : result.error.code
    }
    expect(await asked([omitting, listing])).toBe('ERR_CLIENT_CERT_REVOKED')
    expect(await asked([listing, omitting])).toBe('ERR_CLIENT_CERT_REVOKED')
    expect(await asked([omitting])).toBe('valid')
    expect(await asked([])).toBe('ERR_CLIENT_CERT_REVOCATION_UNKNOWN')
    expect(await asked([Uint8Array.of(1, 2, 3), omitting, new Uint8Array()])).toBe('valid')
    expect(await asked([Uint8Array.of(1, 2, 3)])).toBe('ERR_CLIENT_CERT_REVOCATION_UNKNOWN')
  })

  test('the one that ends first ends both: they contradict each other', async () => {
    expect(await ask(crl({}, false), crl({ nextUpdate: -1 }, false))).toBe('unknown @0')
  })
})

describe('R-15: a newer CRL that contradicts itself', () => {
  const older = (isListed: boolean, plan: CrlPlan = {}) => crl({ number: 9, thisUpdate: -2 * hour, ...plan }, isListed)
  const newer = (isListed: boolean, plan: CrlPlan = {}) => crl({ number: 8, thisUpdate: -hour, ...plan }, isListed)

  test('by a lower number does not unsay what the older one says, while that one holds', async () => {
    expect(await ask(older(true), newer(false))).toBe('revoked @0')
    expect(await ask(newer(false), older(true))).toBe('revoked @0')
    expect(await ask(older(false), newer(true))).toBe('revoked @0')
    expect(await ask(older(false), newer(false))).toBe('good')
    expect(await ask(older(true), newer(false, { number: 9 }))).toBe('good')
  })

  test('when the older one is over, the CA has begun to count anew', async () => {
    expect(await ask(older(true, { nextUpdate: -1 }), newer(false))).toBe('good')
    expect(await ask(older(true, { nextUpdate: 0 }), newer(false))).toBe('revoked @0')
    expect(await ask(older(false, { nextUpdate: -1 }), newer(false))).toBe('good')
  })

  test('over is what maxAge calls so, and what has no end', async () => {
    const askAged = (maxAge: number) =>
      verdict(leaf, { anchors: [root], crls: [older(true), newer(false)], maxAge: maxAge * 1000 })
    expect(await askAged(2 * hour)).toBe('revoked @0')
    expect(await askAged(2 * hour - 1)).toBe('good')
    expect(await ask(older(true, { nextUpdate: null }), newer(false))).toBe('good')
  })
})

describe('a CA that was renewed with another key', () => {
  const [first, second] = [2, 3].map((serial) =>
    forge({ subject: 'Issuing', issuer: root, ca: true, key: poolKey(60 + serial), serial }),
  ) as [Forged, Forged]
  const client = forge({ issuer: first, serial: 7 })
  const ofRoot = forgeCrl(root)
  const older = (plan: CrlPlan = {}) => forgeCrl(first, { number: 5, thisUpdate: -2 * hour, ...plan })
  const newer = (plan: CrlPlan = {}) => forgeCrl(second, { number: 6, ...plan })
  const askOf = (crls: readonly Uint8Array[], via: readonly Forged[] = [first, second]) =>
    verdict(client, { anchors: [root], via, crls: [ofRoot, ...crls] })
  const both = async (...crls: [Uint8Array, Uint8Array]) => {
    const found = await askOf(crls)
    expect(await askOf(crls.toReversed())).toBe(found)
    return found
  }

  test('AD CS, Vault: what the one key lists, the newer CRL of the other does not unsay', async () => {
    expect(await both(older(lists), newer())).toBe('revoked @0')
    expect(await both(older(), newer())).toBe('good')
    // The twin: with the same key it is the same list, and newer.
    expect(await both(older(lists), forgeCrl(first, { number: 6 }))).toBe('good')
  })

  test('whatever authorityKeyIdentifier they bear', async () => {
    expect(await both(older({ ...lists, names: null }), newer({ names: null }))).toBe('revoked @0')
    expect(await both(older(lists), newer({ names: first.key }))).toBe('revoked @0')
  })

  test('the client does not choose between them by what it presents', async () => {
    const crls = [older(lists), newer()]
    expect(await askOf(crls, [first])).toBe('revoked @0')
    expect(await askOf(crls, [first, second])).toBe('revoked @0')
  })

  test('RFC 5280: one list for all that is signed with the new key goes on alone', async () => {
    expect(await askOf([newer(lists)])).toBe('revoked @0')
    expect(await askOf([newer()])).toBe('good')
    expect(await askOf([newer()], [first])).toBe('unknown @0')
    expect(await both(older(), newer(lists))).toBe('revoked @0')
    expect(await both(older({ nextUpdate: -1 }), newer())).toBe('good')
  })

  test('when the older CRL is over, what it revoked for good stays so; what was on hold may have come back', async () => {
    const over = (plan: CrlPlan = {}) => older({ nextUpdate: -1, ...plan })
    expect(await both(over(lists), newer())).toBe('revoked @0')
    expect(await both(over({ entries: [{ serial: 7, reason: 'certificateHold' }] }), newer())).toBe('good')
    expect(await both(older({ entries: [{ serial: 7, reason: 'certificateHold' }] }), newer())).toBe(
      'revoked @0 certificateHold',
    )
    expect(await both(over({ ...lists, extensions: [unknownExtension(true)] }), newer())).toBe('good')
  })

  test('its delta CRLs are of one key, too', async () => {
    const delta = forgeCrl(first, { number: 7, base: 5, thisUpdate: -hour / 2, ...lists })
    const crls = [older(), newer({ number: 8, thisUpdate: -hour / 4 })]
    expect(await askOf([...crls, delta])).toBe('revoked @0')
    expect(await askOf([...crls, forgeCrl(second, { number: 9, base: 8, thisUpdate: -60 }), delta])).toBe('revoked @0')
    expect(await askOf([...crls, forgeCrl(first, { number: 7, base: 5, thisUpdate: -hour / 2 })])).toBe('good')
  })
})

test('the newest is over: nobody knows what the CA would say now, although an older one claims to hold', async () => {
  const [older, ended] = [crl({ number: 1, thisUpdate: -3 * hour }, false), crl({ number: 2, nextUpdate: -1 }, false)]
  expect(await ask(older, ended)).toBe('unknown @0')
  expect(await ask(older)).toBe('good')
})
