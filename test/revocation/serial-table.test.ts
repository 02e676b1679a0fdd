import { randomFillSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { SerialTable } from '../../src/revocation/serial-table.js'

/** Sorts without a break, and counts the breaks it could have made. */
function sorted(hashes: Uint32Array, bits?: number) {
  const offsets = Uint32Array.from(hashes.keys()).map((n) => n * 20 + 7)
  const work = SerialTable.of(Uint32Array.from(hashes), offsets, bits)
  for (let pauses = 0; ; pauses++) {
    const { done, value } = work.next()
    if (done) return { table: value, pauses }
  }
}

function bucketOf(table: SerialTable, hash: number): number[] {
  const places = Array.from({ length: table.endOf(hash) - table.startOf(hash) }, (_, n) => table.startOf(hash) + n)
  return places.map((place) => (table.offsetAt(place) - 7) / 20)
}

const random = (count: number) => randomFillSync(new Uint32Array(count))

describe('offsets are sorted into buckets', () => {
  // 131,071 entries have 2^16 buckets, which are filled directly; 131,072 have 2^17, which are not.
  test.each([0, 1, 2, 3, 255, 256, 257, 10_000, 65_535, 65_536, 131_071, 131_072, 131_073, 300_000])(
    '%i of them: each is in the bucket of its hash, and no other',
    (count) => {
      const hashes = random(count)
      const { table } = sorted(hashes)
      const bits = Math.max(1, 31 - Math.clz32(count))
      let seen = 0
      for (let bucket = 0; bucket < 2 ** bits; bucket++) {
        const hash = (bucket << (32 - bits)) >>> 0
        const members = bucketOf(table, hash)
        for (const [n, member] of members.entries()) {
          if ((hashes[member] as number) >>> (32 - bits) !== bucket) throw new Error(`${member} is in bucket ${bucket}`)
          if (n > 0 && member <= (members[n - 1] as number)) throw new Error(`bucket ${bucket} is out of order`)
        }
        seen += members.length
      }
      expect(seen).toBe(count)
      expect(table.byteLength).toBeLessThanOrEqual(8 * count + 12)
    },
  )

  test('and keep their order within one, also where that is the first or the last', () => {
    for (const hash of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      expect(bucketOf(sorted(Uint32Array.of(hash, hash, hash)).table, hash)).toEqual([0, 1, 2])
    }
  })

  test('by partitions: with neighbours that are empty', () => {
    const hashes = random(140_000).map((hash) => (hash & 0x1fffffff) | 0x40000000)
    const table = sorted(
      hashes.map((hash, n) => (n % 2 === 0 ? hash : hash | 0x80000000)),
      20,
    ).table
    let seen = 0
    for (const [n, hash] of hashes.entries()) {
      if (bucketOf(table, (n % 2 === 0 ? hash : hash | 0x80000000) >>> 0).includes(n)) seen++
    }
    expect(seen).toBe(hashes.length)
    for (const hash of [0, 0x3fffffff, 0x60000000, 0xbfffffff, 0xffffffff]) expect(bucketOf(table, hash)).toEqual([])
  })

  test('in slices', () => {
    expect(sorted(random(1_000)).pauses).toBe(0)
    // Counted, summed up and filled; counted, parted and sorted.
    for (const count of [100_000, 300_000]) expect(sorted(random(count)).pauses).toBeGreaterThan((2.5 * count) / 32_768)
  })
})

describe('a crowded bucket is refused', () => {
  test.each([
    ['directly', 1_000],
    ['by partitions', 200_000],
  ])('sorting %s', (_, count) => {
    const crowded = (members: number) => {
      const hashes = random(count).map((hash) => hash | 0x80000000)
      return hashes.fill(5, 100, 100 + members)
    }
    expect(bucketOf(sorted(crowded(limits.crlCandidates)).table, 5)).toHaveLength(limits.crlCandidates)
    expect(() => sorted(crowded(limits.crlCandidates + 1))).toThrow('too many entries for one serial number')
  })

  test('with the offset of the entry that is one too many', () => {
    const hashes = random(1_000).map((hash) => hash | 0x80000000)
    const thrown = (() => {
      try {
        sorted(hashes.fill(5, 100, 200))
      } catch (error) {
        return error
      }
    })()
    expect(thrown).toMatchObject({ name: 'DerError', offset: (100 + limits.crlCandidates) * 20 + 7 })
  })
})
