import { describe, expect, test } from '@jest/globals'
import { verdict } from '../support/path-forge.js'
import {
  type Edge,
  type Entity,
  type Flaw,
  forgeGraph,
  type Graph,
  hasPath,
  randomGraph,
} from '../support/path-graph.js'

/** Budgets have tests of their own. */
const room = { maxSignatures: 1_000, maxBuildSteps: 100_000 }

/** `accepted`, or the code of the refusal. */
async function found(graph: Graph): Promise<string> {
  const { leaf, via, anchors } = forgeGraph(graph)
  const [code = ''] = (await verdict(leaf, via, anchors, room)).split(':')
  return code
}

describe('graphs of CAs, against a search that tries every path', () => {
  const graphs = Number(process.env.MTLS_GRAPHS ?? 600)
  const first = Number(process.env.MTLS_GRAPHS_SEED ?? 1)

  test(`${graphs} random ones, some edges broken: a path is found where there is one, and none where there is none`, async () => {
    const seen: Record<string, number> = {}
    for (let seed = first; seed < first + graphs; seed++) {
      const graph = randomGraph(seed)
      const outcome = await found(graph)
      expect({ seed, outcome, accepted: outcome === 'accepted' }).toEqual({ seed, outcome, accepted: hasPath(graph) })
      seen[outcome] = (seen[outcome] ?? 0) + 1
    }
    // The generator reaches every kind of outcome.
    expect(Object.keys(seen).sort()).toEqual([
      'BASIC_CONSTRAINTS',
      'EXPIRED',
      'KEY_USAGE',
      'NAME_CONSTRAINTS',
      'NOT_YET_VALID',
      'PATH_LENGTH',
      'SIGNATURE',
      'accepted',
    ])
    expect(seen.accepted).toBeGreaterThan(graphs / 4)
    expect(seen.accepted).toBeLessThan((graphs * 3) / 4)
  }, 600_000)
})

describe('the search itself says what the RFC says: it would notice a wrong verdict', () => {
  const entity = (name: string, key: number): Entity => ({ name, key })
  const [root, a, b, older] = [entity('Root', 0), entity('A', 1), entity('B', 2), entity('B', 3)]
  const edge = (subject: Edge['subject'], issuer: Entity, flaw?: Flaw, constraints?: Edge['constraints']): Edge => ({
    subject,
    issuer,
    flaw,
    constraints,
  })
  const only = (dns: string) => ({ permitted: { dns: [dns], ip: [] }, excluded: { dns: [], ip: [] } })
  const without = (network: string) => ({ permitted: { dns: [], ip: [] }, excluded: { dns: [], ip: [network] } })

  test.each<[string, boolean, readonly Edge[]]>([
    ['two links', true, [edge(a, root), edge(b, a)]],
    ['a link is missing', false, [edge(b, a)]],
    ['one of two ways is broken', true, [edge(b, root, 'expired'), edge(a, root), edge(b, a)]],
    ['both ways are', false, [edge(b, root, 'expired'), edge(a, root), edge(b, a, 'not a CA')]],
    ['a circle with a way out', true, [edge(a, b), edge(b, a), edge(a, root)]],
    ['a circle without', false, [edge(a, b), edge(b, a)]],
    ['no intermediate may follow, and none does', true, [edge(b, root, 'short')]],
    ['no intermediate may follow, and one does', false, [edge(a, root, 'short'), edge(b, a)]],
    ['a self-issued one does not count', true, [edge(older, root, 'short'), edge(b, older)]],
    ['the names are permitted', true, [edge(b, root, undefined, only('good.test'))]],
    ['the names are others', false, [edge(b, root, undefined, only('bad.test'))]],
    ['the address is in another network', true, [edge(b, root, undefined, without('01010100ffffff00'))]],
    ['the address is excluded', false, [edge(b, root, undefined, without('7f000000ffffff00'))]],
  ])('%s: %s', async (_, wanted, edges) => {
    const names = { dns: ['a.good.test'], ip: ['7f000001'] }
    const graph = { seed: 0, anchors: [root], client: edge('client', b), edges, commonName: 'alice', names }
    expect(hasPath(graph)).toBe(wanted)
    expect((await found(graph)) === 'accepted').toBe(wanted)
  })
})
