package notices_test

import (
	"testing"

	"congdanso/flows/flowtest"
)

func TestTranscripts(t *testing.T) { flowtest.Run(t, "testdata/*.txt") }
