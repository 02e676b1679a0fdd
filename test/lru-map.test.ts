import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { LruMap } from '../src/lru-map.js'

test('what was used longest ago is forgotten first', () => {
  const map = new LruMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  expect(map.get('a')).toBe(1)
  map.set('c', 3)
  expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2])
})

test('what is asked for again and again does not make others older', () => {
  const map = new LruMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  for (let i = 0; i < 3; i++) map.get('b')
  map.get('a')
  map.set('c', 3)
  expect([map.get('a'), map.get('b')]).toEqual([1, undefined])
})

test('it is a list in order of use, whatever is done with it', () => {
  const operation = fc.record({ key: fc.integer({ min: 0, max: 5 }), write: fc.boolean() })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const map = new LruMap<number, string>(3)
      let model: number[] = []
      for (const { key, write } of operations) {
        const isThere = model.includes(key)
        if (write) map.set(key, `v${key}`)
        else expect(map.get(key)).toBe(isThere ? `v${key}` : undefined)
        if (write || isThere) model = [...model.filter((other) => other !== key), key].slice(-3)
        expect(map.size).toBe(model.length)
      }
    }),
  )
})
