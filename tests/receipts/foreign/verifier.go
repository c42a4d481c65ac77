// Checks a Freehold log with Go's own transparency log packages (golang.org/x/mod/sumdb: note and tlog).
// Nothing of Freehold's code is used: tiles, bundles and proofs are read from files as C2SP describes them.
//
//	verifier log FOLDER VKEY [OLD-CHECKPOINT CONSISTENCY-PROOF]
//	verifier proof FILE VKEY
//
// Prints "ok" and the tree's size, or why not, with exit status 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: verifier log FOLDER VKEY [OLD PROOF] | verifier proof FILE VKEY"))
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(os.Args[3]))
	fail(err)
	var size int64
	if os.Args[1] == "proof" {
		size, err = checkProof(os.Args[2], verifier)
	} else {
		size, err = checkLog(os.Args[2], verifier, os.Args[4:])
	}
	fail(err)
	fmt.Println("ok", size)
}

func fail(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func openCheckpoint(data []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// folder is a tlog.TileReader over C2SP paths (which leave out the tile height).
type folder string

func (f folder) Height() int { return tileHeight }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) entries(size int64) ([][]byte, error) {
	var all [][]byte
	for first := int64(0); first < size; first += 1 << tileHeight {
		width := min(size-first, 1<<tileHeight)
		tile := tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: int(width)}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data", tileHeight), "tile/entries", 1)
		data, err := os.ReadFile(filepath.Join(string(f), filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		for len(data) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(data))
			if end > len(data) {
				return nil, fmt.Errorf("%s is cut short", path)
			}
			all = append(all, data[2:end])
			data = data[end:]
		}
	}
	if int64(len(all)) != size {
		return nil, fmt.Errorf("%d entries instead of %d", len(all), size)
	}
	return all, nil
}

func checkLog(path string, verifier note.Verifier, old []string) (int64, error) {
	data, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		return 0, err
	}
	tree, err := openCheckpoint(data, verifier)
	if err != nil {
		return 0, err
	}
	reader := tlog.TileHashReader(tree, folder(path))
	entries, err := folder(path).entries(tree.N)
	if err != nil {
		return 0, err
	}
	for index, entry := range entries {
		proof, err := tlog.ProveRecord(tree.N, int64(index), reader)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(entry)); err != nil {
			return 0, fmt.Errorf("entry %d: %w", index, err)
		}
	}
	if len(old) == 2 {
		return tree.N, checkConsistency(tree, verifier, old[0], old[1], reader)
	}
	return tree.N, nil
}

// checkConsistency checks the log against an older checkpoint, with Go's own proof and with Freehold's.
func checkConsistency(tree tlog.Tree, verifier note.Verifier, oldPath, proofPath string, reader tlog.HashReader) error {
	data, err := os.ReadFile(oldPath)
	if err != nil {
		return err
	}
	old, err := openCheckpoint(data, verifier)
	if err != nil {
		return err
	}
	theirs, err := os.ReadFile(proofPath)
	if err != nil {
		return err
	}
	hashes, err := parseHashes(strings.Fields(string(theirs)))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(hashes, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("Freehold's consistency proof: %w", err)
	}
	own, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(own, tree.N, tree.Hash, old.N, old.Hash)
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// checkProof reads a C2SP tlog-proof file with the entry in its `extra` line.
func checkProof(path string, verifier note.Verifier) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	head, checkpoint, found := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, fmt.Errorf("not a tlog-proof")
	}
	tree, err := openCheckpoint([]byte(checkpoint), verifier)
	if err != nil {
		return 0, err
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return 0, err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return 0, err
	}
	hashes, err := parseHashes(lines[3:])
	if err != nil {
		return 0, err
	}
	return tree.N, tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}
