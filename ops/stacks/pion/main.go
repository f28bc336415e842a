// A stock pion viewer: `viewer URL ORDER [unbundled]`, ORDER like `video,video`. Posts the offer to the WHEP endpoint URL and
// waits for 25 access units (RTP markers). Its last line is `plays` or what is missing; then DELETE, by the `Location`.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

const (
	pictures = 25
	within   = 20 * time.Second
)

func play(endpoint string, order []string, unbundled bool) error {
	connection, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer connection.Close()
	enough := make(chan struct{})
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for seen := 0; ; {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			if track.Kind() == webrtc.RTPCodecTypeVideo && packet.Marker {
				if seen++; seen == pictures {
					close(enough)
				}
			}
		}
	})
	for _, kind := range order {
		if kind == "data" {
			_, err = connection.CreateDataChannel("data", nil)
		} else {
			receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
			_, err = connection.AddTransceiverFromKind(webrtc.NewRTPCodecType(kind), receive)
		}
		if err != nil {
			return err
		}
	}
	offer, err := connection.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err = connection.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	text := connection.LocalDescription().SDP
	if unbundled {
		var lines []string
		for _, line := range strings.Split(text, "\r\n") {
			if !strings.HasPrefix(line, "a=group:") {
				lines = append(lines, line)
			}
		}
		text = strings.Join(lines, "\r\n")
	}
	response, err := http.Post(endpoint, "application/sdp", strings.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s %v", response.Status, answer, err)
	}
	session, err := response.Location()
	if err != nil {
		return err
	}
	if err = connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-enough:
	case <-time.After(within):
		return fmt.Errorf("fewer than %d pictures in %s, connection %s", pictures, within, connection.ConnectionState())
	}
	return end(session)
}

func end(session *url.URL) error {
	request, _ := http.NewRequest(http.MethodDelete, session.String(), nil)
	response, err := http.DefaultClient.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("DELETE: %s", response.Status)
	}
	return err
}

func main() {
	if err := play(os.Args[1], strings.Split(os.Args[2], ","), len(os.Args) > 3); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("plays")
}
